// SPDX-License-Identifier: MIT
// Nodemailer's smtp-server on the ports of the JSON object in argv[2]; see ../smtp_server.py.
'use strict'
const fs = require('node:fs')
const { SMTPServer } = require('smtp-server')
const { keep, known, verdict } = require('./maildir')

const c = JSON.parse(process.argv[2])

function error(code, text) {
	return Object.assign(new Error(text), { responseCode: code })
}

function onAuth(auth, session, callback) {
	const password = c.users[auth.username]
	let good = false
	if (auth.method === 'XOAUTH2') {
		good = auth.accessToken === c.token
		if (!good) {
			return callback(null, { data: { status: '401', schemes: 'bearer mac', scope: 'smtp' } })
		}
	} else if (auth.method === 'CRAM-MD5') {
		good = password !== undefined && auth.validatePassword(password)
	} else {
		good = password !== undefined && auth.password === password
	}
	callback(good ? null : error(535, 'Authentication credentials invalid'),
		good ? { user: auth.username } : undefined)
}

function onMailFrom(address, session, callback) {
	callback(address.address === c.refused_sender ? error(550, 'this sender is not welcome') : null)
}

function onRcptTo(address, session, callback) {
	if (address.address === c.later) return callback(error(450, 'come back later'))
	callback(known(c.users, address.address) ? null : error(550, 'no such user here'))
}

function onData(stream, session, callback) {
	const parts = []
	stream.on('data', (x) => parts.push(x))
	stream.on('end', () => {
		const content = Buffer.concat(parts)
		const refused = stream.sizeExceeded ? [552, 'too big'] : verdict(content)
		const to = session.envelope.rcptTo
		if (!refused) for (const x of to) keep(c.mail, known(c.users, x.address), content)
		const reply = refused ? error(...refused) : 'kept'
		if (session.isLmtp) return callback(null, to.map(() => reply))
		refused ? callback(reply) : callback(null, reply)
	})
}

function serve(port, options) {
	const lmtp = Boolean(options.lmtp)
	new SMTPServer({
		name: 'mx.test.example', banner: 'smtp-server', logger: false, disableReverseLookup: true,
		maxAllowedUnauthenticatedCommands: 1000,
		key: fs.readFileSync(c.key), cert: fs.readFileSync(c.cert), size: 20 << 20,
		authMethods: ['PLAIN', 'LOGIN', 'CRAM-MD5', 'XOAUTH2'], onAuth, onMailFrom, onRcptTo,
		onData(stream, session, callback) { session.isLmtp = lmtp; onData(stream, session, callback) },
		...options,
	}).on('error', (e) => console.error(e.message)).listen(port, '127.0.0.1')
}

const open = { disabledCommands: ['AUTH'] }
const clear = { disabledCommands: ['AUTH', 'STARTTLS'] }
serve(c.ports.starttls, open)
serve(c.ports.clear, clear)
serve(c.ports.announced, { ...open, size: c.limit })
serve(c.ports.unannounced, { ...open, size: c.limit, hideSize: true })
serve(c.ports.submission, {})
serve(c.ports.smtps, { secure: true })
serve(c.ports.lmtp, { ...open, lmtp: true })
