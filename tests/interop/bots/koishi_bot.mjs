// A Koishi bot: `koishi_bot.mjs ws` connects to $ONEBOT_URL, `koishi_bot.mjs ws-reverse` is connected to on $ONEBOT_PORT.

import { createRequire } from 'node:module'

import { Armed, obey, report, sawMessage } from './commands.mjs'

// The adapter requires Koishi; importing it as a module would load it a second time.
const require = createRequire(import.meta.url)
const { Context, HTTP, Universal } = require('koishi')
const { default: OneBot } = require('koishi-plugin-adapter-onebot')
const { default: Server } = require('@koishijs/plugin-server')

const [protocol] = process.argv.slice(2)
const { ONEBOT_URL, ONEBOT_PORT, ONEBOT_TOKEN, ONEBOT_SELF_ID } = process.env
const app = new Context()
const armed = new Armed()

app.plugin(HTTP)
if (protocol === 'ws-reverse') app.plugin(Server, { host: '127.0.0.1', port: Number(ONEBOT_PORT) })
app.plugin(OneBot, { protocol, selfId: ONEBOT_SELF_ID, token: ONEBOT_TOKEN, endpoint: ONEBOT_URL })

app.on('bot-status-updated', ({ status, selfId }) => {
  if (status === Universal.Status.ONLINE) report({ saw: 'connected', self_id: Number(selfId) })
  if (status === Universal.Status.OFFLINE) report({ saw: 'disconnected' })
})
app.on('message', (session) => {
  sawMessage(session.onebot)
  if (session.isDirect) return
  armed.converse(
    async (text) => Number((await session.send(text))[0]),
    (id) => session.bot.internal.getMsg(id),
    (id) => session.bot.deleteMessage(session.channelId, String(id)),
  )
})

await app.start()
obey({
  answer: armed.answer,
  ask: async (userId) => (await app.bots[0].internal.getStrangerInfo(userId)).user_id,
  failure: ({ code }) => ({ retcode: code }),
})
