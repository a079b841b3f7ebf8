/* SPDX-License-Identifier: MIT */
#ifndef PH_NET_CONN_H
#define PH_NET_CONN_H
/* A connected socket as a transport, in clear or under TLS.
 *
 * Non-blocking. One sendmsg() a flight, with MSG_NOSIGNAL. Under TLS, OpenSSL works on memory BIOs:
 * up to 256 KiB of records are made and then written with one call; ph_transport.write() reports
 * octets only when the record that ends them has been taken by the kernel. */
#include <posthaste/tls.h>
#include <posthaste/transport.h>

/* One policy's TLS: trust, client certificate, versions, and the sessions kept for resumption. May
 * serve many connections of one thread. */
struct ph__tls;
/* Files are read here and their faults reported here: PH_ENOINPUT, PH_ECONFIG. `host` is the name
 * dialled, verified unless opts->server_name is given. Everything is copied. */
enum ph_code ph__tls_new(struct ph__tls **ret, const struct ph_tls_opts *opts, const char *host,
                         const struct ph_allocator *mem, struct ph_error *err);
void ph__tls_free(struct ph__tls **tls);

struct ph__conn;
/* Takes the connected socket, blocking or not; `owned`: closes it in the end (not when this fails).
 * `tls` may be NULL (start_tls is then absent) and must outlive the connection. `enforce`: an
 * unverified peer fails the handshake; otherwise the facts say so. */
enum ph_code ph__conn_new(struct ph__conn **ret, int fd, bool owned, struct ph__tls *tls,
                          bool enforce, const struct ph_allocator *mem, struct ph_error *err);
/* The table to drive it by; borrowed, valid as long as the connection. Beyond transport.h:
 * - wait() comes back as PH_IO_AGAIN when a signal interrupts it.
 * - When a write finds the connection closed by the peer, it says PH_IO_AGAIN once, so that read()
 *   can fetch the peer's last words (421, a TLS alert); the next write or read says the loss.
 * - The last handshake flight may leave with the first write; read() and wait() send it as well. A
 *   loop that calls neither polls for ph__conn_wants_write().
 * - Errors of reading and writing carry the stage CONNECT: the caller knows the true one. */
const struct ph_transport *ph__conn_transport(struct ph__conn *c);
int ph__conn_fd(const struct ph__conn *c);
/* Whether poll() should wait for writing too (ciphertext is left over, or a handshake wants it). */
bool ph__conn_wants_write(const struct ph__conn *c);
/* The i-th certificate that the peer of a finished handshake has shown, or showed when the session was
 * made that was resumed; false past the last, in clear, and when memory is out. *ret borrows until the
 * next call. */
bool ph__conn_certificate(struct ph__conn *c, size_t i, struct ph_certificate *ret);
/* Sends close_notify if TLS is up and the socket takes it at once; closes when owned. */
void ph__conn_free(struct ph__conn **c);

#endif
