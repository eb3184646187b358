// The line between a bot and the harness, as in commands.py: commands on stdin, reports on stdout, lines of JSON.

import { createInterface } from 'node:readline'

/** Carries out commands until stdin ends, which also ends the process. `bot` has `ask`, `answer` and `failure`. */
export async function obey(bot) {
  for await (const line of createInterface({ input: process.stdin })) {
    carryOut(bot, JSON.parse(line))
  }
  process.exit(0)
}

/** Tells the harness something. */
export function report(what) {
  process.stdout.write(JSON.stringify(what) + '\n')
}

/** Reports a message event as it came; `event` holds the OneBot fields. */
export function sawMessage({ message_id, message_seq, group_id, user_id, raw_message }) {
  report({ saw: 'message', message_id, message_seq, chat: group_id ?? user_id, raw_message })
}

async function carryOut(bot, command) {
  const outcome = command.do === 'answer'
    ? await attempt(bot, () => bot.answer(command.text))
    : await Promise.all(command.user_ids.map((id) => attempt(bot, () => bot.ask(id))))
  report({ id: command.id, outcome })
}

async function attempt(bot, call) {
  try {
    return { ok: await call() }
  } catch (error) {
    return { failed: bot.failure(error) ?? {}, error: String(error?.message ?? error) }
  }
}

/** Texts with which to answer the next messages, each with a promise for what became of it. */
export class Armed {
  #waiting = []

  answer = (text) => new Promise((resolve, reject) => this.#waiting.push({ text, resolve, reject }))

  /** Says the first waiting text, reads it back and recalls it. Does nothing if no text waits. */
  async converse(send, getMsg, deleteMsg) {
    const { text, resolve, reject } = this.#waiting.shift() ?? {}
    if (text === undefined) return
    try {
      const message_id = await send(text)
      const said = await getMsg(message_id)
      await deleteMsg(message_id)
      resolve({ message_id, read: said.message })
    } catch (error) {
      reject(error)
    }
  }
}
