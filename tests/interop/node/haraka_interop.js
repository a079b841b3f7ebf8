// SPDX-License-Identifier: MIT
// Haraka's plug-in of the interop tests: who may log in, who is known, and the Maildirs.
// Its settings are in config/interop.json; see ../haraka.py.
'use strict'
const { Writable } = require('node:stream')
const { keep, known, verdict } = require('./maildir')

exports.register = function () {
	this.inherits('auth/auth_base')
	this.settings = this.config.get('interop.json')
}

exports.hook_capabilities = function (next, connection) {
	const { ports } = this.settings
	if (connection.tls.enabled && [ports.submission, ports.smtps].includes(connection.local.port)) {
		const methods = ['PLAIN', 'LOGIN', 'CRAM-MD5']
		connection.capabilities.push('AUTH ' + methods.join(' '))
		connection.notes.allowed_auth_methods = methods
	}
	next()
}

exports.get_plain_passwd = function (user, connection, callback) {
	callback(this.settings.users[user] ?? null)
}

exports.hook_mail = function (next, connection, [from]) {
	const { ports, refused_sender } = this.settings
	if ([ports.submission, ports.smtps].includes(connection.local.port) && !connection.relaying) {
		return next(DENY, 'authentication required')
	}
	if (from.address() === refused_sender) return next(DENY, 'this sender is not welcome')
	next()
}

exports.hook_rcpt = function (next, connection, [to]) {
	const { later, users } = this.settings
	if (to.address() === later) return next(DENYSOFT, 'come back later')
	known(users, to.address()) ? next(OK) : next(DENY, `<${to.address()}>: no such user here`)
}

exports.hook_queue = function (next, connection) {
	const { transaction } = connection
	const { mail, users } = this.settings
	const parts = []
	const sink = new Writable({ write(x, encoding, done) { parts.push(Buffer.from(x)); done() } })
	sink.on('finish', () => {
		const content = Buffer.concat(parts)
		const refused = verdict(content)
		if (refused) return next(refused[0] === 550 ? DENY : DENYSOFT, refused[1])
		for (const to of transaction.rcpt_to) keep(mail, known(users, to.address()), content)
		next(OK)
	})
	transaction.message_stream.pipe(sink)
}

// What a user sends would otherwise go out.
exports.hook_queue_outbound = exports.hook_queue
