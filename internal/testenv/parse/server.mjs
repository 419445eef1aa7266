// Parse Server with the class Note. An object belongs to the user who creates it, unless a request to /opened said
// otherwise.
import { createRequire } from 'node:module'

const { PARSE_MODULES, PARSE_PORT, PARSE_DATABASE, PARSE_MASTER_KEY } = process.env
const require = createRequire(PARSE_MODULES + '/package.json')
const { ParseServer } = require('parse-server')
const express = require('express')

let opened = { publicRead: false, publicWrite: false }

const parse = new ParseServer({
  appId: 'prober',
  masterKey: PARSE_MASTER_KEY,
  masterKeyIps: ['127.0.0.1'],
  serverURL: `http://127.0.0.1:${PARSE_PORT}/parse`,
  databaseURI: PARSE_DATABASE,
  allowClientClassCreation: false,
  enableInsecureAuthAdapters: false,
  logLevel: 'error',
  logsFolder: null,
  silent: true,
  cloud: (Parse) => {
    Parse.Cloud.beforeSave('Note', ({ object, user, original }) => {
      if (original) return
      const acl = user ? new Parse.ACL(user) : new Parse.ACL()
      acl.setPublicReadAccess(opened.publicRead)
      acl.setPublicWriteAccess(opened.publicWrite)
      object.setACL(acl)
    })
  }
})
await parse.start()
const app = express()
app.put('/opened', express.json(), (request, response) => {
  opened = request.body
  response.json(opened)
})
app.use('/parse', parse.app)
app.listen(Number(PARSE_PORT), '127.0.0.1')
