/* SPDX-License-Identifier: MIT */
#ifndef POSTHASTE_H
#define POSTHASTE_H
/* posthaste: sending mail. The umbrella header; each one below is the manual of its part. */
#include <posthaste/api.h>
#include <posthaste/auth.h>
#include <posthaste/client.h>
#include <posthaste/error.h>
#include <posthaste/message.h>
#include <posthaste/record.h>
#include <posthaste/smtp.h>
#include <posthaste/source.h>
#include <posthaste/tls.h>
#include <posthaste/transaction.h>
#include <posthaste/transport.h>
#include <posthaste/version.h>
#endif
