// SPDX-License-Identifier: MIT
// Who is known to the servers of this folder, and how they keep a message: as a file in a Maildir,
// octet by octet what came.
'use strict'
const fs = require('node:fs')
const path = require('node:path')

let count = 0

exports.known = function (users, address) {
	const local = address.slice(0, address.lastIndexOf('@'))
	return local in users || local === 'почта' ? local : null
}

exports.keep = function (mail, user, content) {
	const name = String(++count).padStart(6, '0')
	const part = (x) => path.join(mail, user, x)
	for (const x of ['tmp', 'new']) fs.mkdirSync(part(x), { recursive: true })
	fs.writeFileSync(path.join(part('tmp'), name), content)
	fs.renameSync(path.join(part('tmp'), name), path.join(part('new'), name))
}

// What the message itself asks for; see server.py.
exports.verdict = function (content) {
	const head = content.toString('latin1').split('\r\n\r\n')[0].split('\r\n')
	if (head.includes('X-Interop: refuse')) return [550, 'this message is not welcome']
	if (head.includes('X-Interop: defer')) return [451, 'not now']
	return null
}
