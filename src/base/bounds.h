/* SPDX-License-Identifier: MIT */
#ifndef PH_BASE_BOUNDS_H
#define PH_BASE_BOUNDS_H
/* Every limit has its name and its reason here. */

/* What a server may send. A server that streams forever must not fill our memory. */
#define PH__REPLY_LINE_MAX    12288       /* RFC 4954 §4: a 334 line may be this long */
#define PH__REPLY_LINES_MAX   1000
#define PH__REPLY_BYTES_MAX   (256 * 1024)
#define PH__KEPT_BYTES_MAX    (16 * 1024 * 1024) /* of replies to a message's recipients; from there on */
#define PH__KEPT_LEAST        512         /* of each the beginning: an ordinary one is shorter */
#define PH__EHLO_KEYWORDS_MAX 128         /* real servers send about 20 */
#define PH__QUOTE_SIZE        384         /* of a reply quoted in an error's text, NUL included */
#define PH__HINT_TEXT         4096        /* of a reply is searched for the words of a hint */

/* What we send. */
#define PH__COMMAND_LINE_MAX  512         /* RFC 5321 §4.5.3.1.4, without what extensions add */
#define PH__PATH_LINE_MAX     4096        /* a MAIL or RCPT line with all its parameters */
#define PH__AUTH_LINE_MAX     12288       /* RFC 4954 §4 */
#define PH__AUTH_RESPONSE_MAX 9213        /* octets that as base64, with CRLF, fill such a line */
#define PH__AUTH_ROUNDS_MAX   32          /* an exchange that never ends */
#define PH__SCRAM_ROUNDS_MAX  2000000     /* of hashing, for which a server could ask for hours */
#define PH__NTLM_TEXT_MAX     256         /* octets of a name or password; libntlm's buffers are 1,024 */
#define PH__ENVID_MAX         100         /* RFC 3461 §4.4: as xtext */
#define PH__ORCPT_MAX         500         /* RFC 3461 §4.2: as xtext, its type included */
#define PH__AUTH_PARAM_MAX    500         /* RFC 4954 §3: what AUTH= may add to MAIL */
#define PH__SECONDS_MAX       999999999   /* RFC 2852 §4, RFC 4865 §4: nine digits */
#define PH__PRIORITY_MAX      9           /* RFC 6710 §4; its negative is the least */
#define PH__XTEXT_VALUE_MAX   255         /* of an XCLIENT or XFORWARD attribute: what Postfix takes */
#define PH__LOCAL_PART_MAX    64          /* RFC 5321 §4.5.3.1.1 */
#define PH__DOMAIN_MAX        255         /* §4.5.3.1.2 */
#define PH__PATH_MAX          254         /* §4.5.3.1.3: 256 with its brackets */
#define PH__LABEL_MAX         63          /* RFC 1035 §2.3.4 */
#define PH__LINE_MAX          998         /* RFC 5322 §2.1.1: octets of a line without its CRLF */
#define PH__FOLD_COLUMNS      78          /* §2.1.1: where we fold header lines */
#define PH__ENCODED_LINE_MAX  76          /* RFC 2047 §2: a line that has an encoded-word */
#define PH__ENCODED_WORD_MAX  75          /* the same */
#define PH__HEADER_NAME_MAX   76          /* a longer field name leaves no room to fold behind it */
#define PH__ID_SEED_MIN       16          /* octets: Message-IDs do not collide by chance */
#define PH__ID_SEED_MAX       64          /* more serves nothing; keeps the Message-ID on one line */
#define PH__HEADER_BLOCK_MAX  (1024 * 1024)
#define PH__RECIPIENTS_MAX    100000      /* of one transaction */

/* What may be under way. */
#define PH__IN_FLIGHT_MAX     8192        /* commands unanswered on one connection */
#define PH__WINDOW_DEFAULT    8           /* BDAT transactions unanswered */
#define PH__WINDOW_MAX        256
#define PH__BODY_CHUNK        (1024 * 1024) /* body octets asked for at a time; a BDAT chunk at most */
#define PH__SEND_PIECE        (1024 * 1024) /* of octets sent by hand, queued at a time */
#define PH__READ_CHUNK        (256 * 1024) /* of a message that is not in memory */
#define PH__QUEUED_MAX        (256 * 1024) /* no further body is asked for above it */
#define PH__SESSION_DOMAINS   1000        /* told apart under RCPTDOMAINMAX; a server that takes more of
                                             them gets the rest on the next connection */
#define PH__EAGER_BODY_MAX    (64 * 1024) /* a larger message waits for the envelope's replies */
#define PH__BORROW_MIN        4096        /* shorter runs of a body are cheaper copied */

/* Time, in milliseconds: RFC 5321 §4.5.3.2. */
#define PH__MS_CONNECT        30000
#define PH__MS_GREETING       300000
#define PH__MS_COMMAND        300000
#define PH__MS_RIDE           15000       /* behind a final dot, where some servers lose it */
#define PH__MS_DATA           120000
#define PH__MS_BLOCK          180000
#define PH__MS_FINAL          600000
#define PH__MS_QUIT           5000
#define PH__MS_TLS            300000
#define PH__MS_RATE_SPAN      30000       /* a peer that drips: 500 octets/s over 30 s at least */
#define PH__RATE_MIN          500

/* Connecting and TLS. */
#define PH__ADDRESSES_MAX     32          /* of one name; a resolver may be made to return thousands */
#define PH__MS_HEAD_START     250         /* RFC 8305 §8: Connection Attempt Delay */
#define PH__MS_UNIX_RETRY     20          /* a Unix socket whose backlog is full cannot be polled for */
#define PH__SOCKS_TEXT_MAX    255         /* RFC 1928 §5, RFC 1929 §2: one octet of length */
#define PH__HTTP_LOGIN_MAX    4096        /* user and password of an HTTP proxy, with their colon */
#define PH__HTTP_HEADER_MAX   (32 * 1024) /* all that a proxy says before it is a tunnel */
#define PH__PROXY_LINE_MAX    107         /* PROXY protocol §2.1: version 1's longest line */
#define PH__IOV_MAX           1024        /* pieces of one sendmsg(): Linux's UIO_MAXIOV */
#define PH__TLS_RECORD        16384       /* RFC 8446 §5.1: plaintext of one record */
#define PH__TLS_OVERHEAD      256         /* RFC 8446 §5.2: what encryption may add */
#define PH__TLS_BATCH         16          /* records made before one send() */
#define PH__TLS_UNSENT_MAX    (512 * 1024)/* a peer that asks for key updates and never reads */
#define PH__TLS_READ          (64 * 1024) /* ciphertext asked for at a time */
#define PH__TLS_KEEP          4096        /* a ciphertext buffer up to this size is kept while idle */
#define PH__TLS_SESSIONS      8           /* kept for resumption; a TLS 1.3 ticket serves once */
#define PH__PINS_MAX          256
#define PH__TLS_NAMES_MAX     16          /* that a certificate may have instead of the server's */
#define PH__CERT_NAME_MAX     1024        /* of one of its names as shown; 255 octets, escaped */
#define PH__ALPN_NAME_MAX     255         /* RFC 7301 §3.1: one octet of length */
#define PH__ALPN_MAX          2048        /* of all names: the ClientHello stays one record */

/* Routes. */
#define PH__MS_LOOKUP         30000       /* a DNS answer, all its retries and signatures included */
#define PH__DNS_SERVERS       8           /* that questions are forwarded to */
#define PH__DNS_SERVER_TEXT   64          /* ADDRESS%SCOPE@PORT */
#define PH__MS_POLICY         60000       /* RFC 8461 §3.3: an MTA-STS policy */
#define PH__POLICY_MAX        (64 * 1024) /* §3.3 */
#define PH__POLICY_MX_MAX     1000        /* patterns of a policy */
#define PH__POLICY_AGE_MAX    31557600    /* §3.2: seconds */
#define PH__STS_RECORD_MAX    4096        /* a TXT record of §3.1; real ones have 40 octets */
#define PH__NAME_TEXT_MAX     253         /* a DNS name in text, without final dot (RFC 1035 §3.1) */
#define PH__POLICY_KEPT_MAX   (PH__POLICY_MAX + 1024) /* a policy as a file of the cache */
#define PH__POLICIES_KEPT     10000       /* in memory; the one that was asked for longest ago goes first */
#define PH__POLICY_RETRY_S    300         /* §3.3: after a failed fetch */
#define PH__POLICY_FRESH_S    86400       /* §10.2: it is fetched anew then */
#define PH__FETCHES           64          /* policies fetched at the same time */
#define PH__FETCH_ADDRESSES   32          /* of a policy's host: those of a host, of both families */
#define PH__FETCH_HEADER_MAX  (64 * 1024) /* octets of all headers of a response */
#define PH__MX_MAX            64          /* hosts of a domain; real ones have up to 20 */
#define PH__MX_ADDRESSES      16          /* of a host */
#define PH__TLSA_MAX          64          /* records of a host */
#define PH__ROUTE_TRIES       12          /* addresses tried for a domain, unless told otherwise */
#define PH__ROUTES_MAX        1000        /* looked up at the same time for one message; kept between */
#define PH__MS_ROUTE          60000       /* a route is used without asking again; DNS has its own cache */
#define PH__MS_SENDER         5000        /* the answer about the sender's domain is waited for, when all
                                             others are there */
#define PH__ROUTE_RECIPIENTS  100         /* RFC 5321 §4.5.3.1.8: every server takes so many at a time */
#define PH__DIRECT_IDLE       16          /* connections kept for the next message */
#define PH__BAD_NETWORKS      16          /* IPv6 networks that do not answer, remembered, */
#define PH__MS_BAD_NETWORK    600000      /* so long */

/* What a client may send to the server session (src/smtp/server.h). */
#define PH__SERVER_FEED_MAX   (1024 * 1024)     /* lent at once; what may wait for an answer */
#define PH__SERVER_OUT_HIGH   (64 * 1024)       /* replies unread by the client: go no further */
#define PH__SERVER_OUT_MAX    (256 * 1024)
#define PH__SERVER_TEXT_MAX   4096              /* of one reply that a caller gives */
#define PH__SERVER_RECIPIENTS 1000              /* of one transaction, unless told otherwise */
#define PH__SERVER_ERRORS     20                /* then 421: somebody speaks HTTP, or guesses */

/* The sink. */
#define PH__SINK_CONNECTIONS  1000              /* at a time; more are answered 421 */
#define PH__SINK_LISTENERS    16
#define PH__SINK_USERS        1000
#define PH__SINK_USERS_FILE   (1024 * 1024)
#define PH__SINK_SIZE         (256 * 1024 * 1024)/* of a message, unless told otherwise */
#define PH__SINK_ENVELOPE     (1024 * 1024)     /* addresses and parameters of one transaction */
#define PH__SINK_RECORD       (16 * 1024 * 1024)/* JSON lines not yet written */
#define PH__SINK_MS_LINGER    2000              /* after our last word, for the client to read it */
#define PH__SINK_PROXY_MAX    (64 * 1024 + 16)  /* a PROXY header: version 2 with all its fields */
#define PH__SINK_MS_AGAIN     10                /* until a late line is tried again */
#define PH__SINK_RULES        1000
#define PH__SINK_MS_PROXY     10000             /* until a PROXY header is whole */
#define PH__SINK_FUTURE       (30 * 24 * 3600)  /* seconds that FUTURERELEASE reaches */
#define PH__SINK_RULES_FILE   (1024 * 1024)
#define PH__SINK_COUNTED      (1024 * 1024)     /* arguments that rules count one by one */
#define PH__SINK_REPLY        (16 * 1024 * 1024)/* octets that a rule makes of one reply */
#define PH__SINK_MS_PAUSE     3600000           /* a delay that a rule asks for */

#endif
