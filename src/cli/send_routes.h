/* SPDX-License-Identifier: MIT */
#ifndef PH_CLI_SEND_ROUTES_H
#define PH_CLI_SEND_ROUTES_H
/* For `send --direct --dry-run`: where each recipient's mail would go, looked up one domain after the
 * other. Each returns the exit status: 0 when every domain has a server that will be used, else that of
 * the first that has none. */
#include <posthaste/client.h>
#include "base/json.h"
#include "cli/send_envelope.h"

int ph__send_routes_print(struct ph_client *client, const struct ph__send_envelope *e);
/* As the member "routes". */
int ph__send_routes_json(struct ph_client *client, const struct ph__send_envelope *e,
                         struct ph__json *j);

#endif
