// A node-napcat-ts bot: it connects to $ONEBOT_URL.

import { NCWebsocket } from 'node-napcat-ts'

import { Armed, obey, report, sawMessage } from './commands.mjs'

const bot = new NCWebsocket({
  baseUrl: process.env.ONEBOT_URL,
  accessToken: process.env.ONEBOT_TOKEN,
  reconnection: { enable: true, attempts: 10, delay: 1000 },
})
const armed = new Armed()

bot.on('meta_event.lifecycle', ({ self_id }) => report({ saw: 'connected', self_id }))
bot.on('socket.close', () => report({ saw: 'disconnected' }))
bot.on('message', sawMessage)
bot.on('message.group', ({ group_id }) => armed.converse(
  async (text) => {
    const message = [{ type: 'text', data: { text } }]
    return (await bot.send_group_msg({ group_id, message })).message_id
  },
  (message_id) => bot.get_msg({ message_id }),
  (message_id) => bot.delete_msg({ message_id }),
))

obey({
  answer: armed.answer,
  ask: async (user_id) => (await bot.get_stranger_info({ user_id })).user_id,
  failure: (error) => error,
})
await bot.connect()
