// Makes vectors.jsonl, which tests/filter holds the gateway's filters to: what sift itself answers.
//
//     npm ci && node vectors.mjs > vectors.jsonl
//
// The first lines are objects, `{"object": …}`. Then each query is a line with the numbers of the objects that
// it matches, `{"query": …, "matches": […]}`, or with what sift says against it, `{"query": …, "throws": "…"}`.
// Where the gateway answers differently on purpose, the line is one of query and object with a reason:
// `{"differs": "…", "query": …, "object": …, "matches": true}`. The same run makes the same lines.

import { readFileSync } from 'node:fs'
import siftModule from 'sift'

const sift = siftModule.default ?? siftModule

const events = readFileSync(new URL('../samples/events.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map(line => JSON.parse(line))

/** What events do not show: lists in lists, nulls on the way, values of every type under one key. */
const shapes = [
  {},
  ...[0, -0, 1, 2, 3.5, -7, 1e21, true, false, null, '', '0', '5', ' 12 ', '0x10', 'abc', 'ABC', 'b\nc', '\uffff', '中文']
    .map(a => ({ a })),
  ...[[], [1], [1, 2], [2, 1], [1, 2, 3], [null], [[]], [[1]], [[1, 2]], [[1], [2]], [1, 'x'], ['abc', 'b'], ['5'], [true], [{}], [0]]
    .map(a => ({ a })),
  ...[{}, { b: 1 }, { b: 2 }, { b: null }, { b: [] }, { b: [1] }, { b: [1, 2] }, { b: { c: 1 } }, { b: 1, c: 2 }, { c: 2, b: 1 }, { b: 'abc' }]
    .map(a => ({ a })),
  { a: [{ b: 1 }] },
  { a: [{ b: 2 }, { b: 1 }] },
  { a: [{ b: 1, c: 2 }, { b: 2, c: 1 }] },
  { a: [{ b: 1, c: 1 }, { b: 2, c: 2 }] },
  { a: [{ b: null }] },
  { a: [{ b: null }, { b: 1 }] },
  { a: [{}, { b: 1 }] },
  { a: [{ b: 1 }, {}] },
  { a: [{ b: [1, 2] }, { b: [3] }] },
  { a: [{ b: [{ c: 1 }, { c: 2 }] }, { b: [{ c: 3 }] }] },
  { a: [[{ b: 1 }], [{ b: 2 }]] },
  { a: [1, { b: 1 }, null] },
  { a: [null, 1] },
  { a: [3, 4], b: 3 },
  { a: { 0: 'zero', length: 9 } },
  { a: { b: { c: [1, { d: 2 }] } } },
  { a: { b: { c: [{ d: 1 }, { d: [2, 3] }] } } },
  { a: 1, b: 1 },
  { a: 1, b: 2 },
  { a: 2, b: 1 },
  { a: null, b: null },
  { b: 1 },
  { 'a.b': 1 },
  { '': 1, a: { '': 2 } },
]

const onEvents = [
  {},
  { post_type: 'message' },
  { post_type: { $ne: 'message' } },
  { post_type: { $in: ['notice', 'request'] } },
  { message_type: 'group', 'sender.role': { $in: ['owner', 'admin'] } },
  { 'sender.role': { $nin: ['owner', 'admin'] } },
  { group_id: 618204977 },
  { group_id: { $in: [618204977, 1] } },
  { group_id: { $nin: [618204977] } },
  { group_id: { $exists: false } },
  { group_id: null },
  { user_id: { $gt: 1e9, $lte: 2e9 } },
  { user_id: 0 },
  { message_id: { $lt: 0 } },
  { time: { $mod: [2, 0] } },
  { sub_type: { $regex: '^(normal|friend)$' } },
  { raw_message: { $regex: '^/' } },
  { raw_message: { $regex: '^\\[CQ:at,qq=\\d+\\]' } },
  { raw_message: { $regex: '陶艺' } },
  { raw_message: { $regex: 'cq:', $options: 'i' } },
  { raw_message: { $not: { $regex: '\\[CQ:' } } },
  { raw_message: { $exists: true, $ne: '' } },
  { raw_message: { $type: 'string' } },
  { 'message.type': 'image' },
  { 'message.type': { $ne: 'text' } },
  { 'message.0.type': { $in: ['at', 'reply'] } },
  { 'message.length': { $gte: 2 } },
  { message: { $size: 1 } },
  { message: { $elemMatch: { type: 'at', 'data.qq': { $exists: true } } } },
  { message: { $not: { $elemMatch: { type: 'text' } } } },
  { 'message.data.text': { $regex: '[\\u4e00-\\u9fa5]{4,}' } },
  { 'message.data.qq': { $all: ['2847190563'] } },
  { $or: [{ notice_type: 'group_recall' }, { request_type: 'friend' }, { 'sender.card': '' }] },
  { $nor: [{ post_type: 'message' }, { post_type: 'meta_event' }] },
  { $and: [{ post_type: 'message' }, { $or: [{ message_type: 'private' }, { 'sender.role': 'owner' }] }] },
  { status: { online: true, good: true } },
  { status: { good: true, online: true } },
  { 'status.online': true, interval: { $gte: 60000 } },
  { meta_event_type: 'heartbeat' },
  { notice_type: { $exists: true }, operator_id: { $type: 'number' } },
  { flag: { $type: 'string' }, comment: { $regex: '.' } },
  { 'file.size': { $gt: 1000 } },
  { sender: { $type: 'array' } },
  { 'sender.nickname.0': { $exists: true } },
  { 'sender.level': '87' },
  { 'sender.level': { $gt: 50 } },
  { font: 14, message_format: 'array', self_id: 2847190563 },
]

const scalars = [null, 0, 1, 2, 3.5, -7, true, false, '', '5', 'abc', '中文', '\uffff', '😀']
const bounds = scalars.filter(value => value !== null)
const wholes = [[], [1], [1, 2], [[1, 2]], [null], {}, { b: 1 }, { b: null }, { b: [1, 2] }, { c: 2, b: 1 }]
const keys = ['a', 'a.b', 'a.b.c', 'a.b.c.d', 'a.0', 'a.1.b', 'a.0.0', 'a.length', 'a.b.length', 'a.01', 'a.', '', 'a.b.0', 'a.-1', 'a. 0']

const onKeys = [
  ...[...scalars, ...wholes].flatMap(value => [value, { $eq: value }, { $ne: value }]),
  ...bounds.flatMap(value => [{ $lt: value }, { $lte: value }, { $gt: value }, { $gte: value }]),
  ...[[null], [1], [2, 'abc'], [[1, 2]], [{ b: 1 }, true], 1, null, []].flatMap(value => [{ $in: value }, { $nin: value }]),
  ...[true, false, 1, 0].map(value => ({ $exists: value })),
  ...['number', 'string', 'bool', 'array', 'null'].map(value => ({ $type: value })),
  ...[0, 1, 2, 3].map(value => ({ $size: value })),
  ...[[2, 0], [2, 1], [4, 0], [3.5, 0], [-2, 1], [5, -2], [16, 0]].map(value => ({ $mod: value })),
  ...[[1], [1, 2], ['abc'], [[1, 2]], [null], [{ $gt: 1 }, { $lt: 3 }], [{ b: 1 }], [{ $elemMatch: { b: 1 } }]]
    .map(value => ({ $all: value })),
  ...[
    { $gt: 1 }, { $gt: 1, $lt: 3 }, { $ne: 1 }, { $eq: null }, { $exists: true }, { b: 1 }, { b: 1, c: 2 }, { b: { $gt: 1 } },
    { b: { $exists: false } }, { b: null }, { $or: [{ b: 1 }, { $eq: 2 }] }, { $and: [{ $gt: 0 }, { $lt: 2 }] }, { $nor: [{ b: 1 }] },
    { $not: { $eq: 1 } }, { $in: [1, null] }, { 'b.c': 1 }, { $elemMatch: { $eq: 1 } }, [1], [{ b: 1 }], {},
  ].flatMap(query => [{ $elemMatch: query }, { $not: query }, { $not: { $elemMatch: query } }]),
  { $not: 1 }, { $not: 'abc' }, { $not: null }, { $not: { $not: { $ne: 1 } } }, { $not: { $nin: [1, 2] } },
  { $gt: 0, $ne: 2 }, { $ne: 1, $exists: true }, { $nin: [1], $ne: null }, { $gte: 1, $lte: 2, $type: 'number' },
  { $in: [1, 2], $nin: [2, 3] }, { $size: 2, $all: [1] }, { $not: { $size: 1 }, $type: 'array' },
  { $elemMatch: { $gt: 1 }, $size: 2 },
  ...['^a', 'b$', '^b$', 'B', '\\d', '^\\s?\\d+', '.', '^.$', '[^a-c]', '\\bc\\b', '\\w{3}', '^\\u4e2d', 'a|x'].flatMap(
    pattern => ['', 'i', 'm', 's', 'g', 'y', 'iu'].map(flags => ({ $regex: pattern, $options: flags }))),
  { $regex: '^abc$' },
]

const queries = [
  ...onKeys.map(value => ({ a: value })),
  ...keys.slice(1).flatMap(key => onKeys.filter((_, at) => at % 3 === keys.indexOf(key) % 3).map(value => ({ [key]: value }))),
  { a: 1, b: 1 }, { $or: [{ a: 1 }, { b: 1 }] }, { $nor: [{ a: 1 }, { b: 1 }] }, { $and: [{ a: 1 }, { b: 1 }] },
  { a: 1, $or: [{ b: 1 }, { b: 2 }] }, { $or: [{ a: 1, b: 2 }, { a: 2 }] }, { $not: { a: 1 } }, { $not: { a: { $ne: 1 }, b: 1 } },
  { $nor: [{ $or: [{ a: 1 }, { b: 1 }] }] }, { $or: [{ $and: [{ a: 1 }, { b: { $in: [1, 2] } }] }, { 'a.b': 1 }] },
  { $or: [{ a: { $exists: false } }, { 'a.b': { $exists: true } }] }, { $and: [{ $or: [{ a: 1 }] }, { $nor: [{ b: 1 }] }] },
  { $eq: { a: 1 } }, { $ne: { a: 1 } }, { $in: [{ a: 1 }, { b: 1 }] }, { $exists: true }, { $type: 'array' }, { $all: [{ a: 1 }, { b: 1 }] },
  { $elemMatch: { a: 1 } },
]

/** What sift refuses as well, when it is made or when it first looks at something. */
const refused = [
  { $unknown: 1 }, { a: { $unknown: 1 } }, { a: { $in: [{ $gt: 1 }] } }, { a: { $nin: [{ $gt: 1 }] } }, { a: { $gt: 1, b: 2 } },
  { $or: [] }, { $and: [] }, { $nor: [] }, { $or: {} }, { a: { $or: [{ b: 1 }] } }, { a: { $and: [{ b: 1 }] } }, { a: { $nor: [{ b: 1 }] } },
  { a: { $elemMatch: 1 } }, { a: { $elemMatch: null } }, { a: { $regex: '(' } }, { a: { $regex: '[b-a]' } }, { a: { $regex: 'a', $options: 'x' } },
  { a: { $regex: 'a', $options: 'ii' } }, { a: { $type: 'object' } }, { a: { $all: 1 } },
  { a: { $not: { $unknown: 1 } } }, { $or: [{ a: { $gte: 1, $unkown: 2 } }] }, { a: { $elemMatch: { $unknown: 1 } } },
]

const differences = [
  ['only what stands in the text is there', { 'a.constructor': { $ne: null } }, { a: {} }],
  ['only what stands in the text is there', { a: { $elemMatch: { toString: { $eq: null } } } }, { a: [{}] }],
  ['only what stands in the text is there', JSON.parse('{"__proto__":{}}'), {}],
  ['an id in an event is a number however it is written', { group_id: 5 }, { post_type: 'message', group_id: '5' }],
  ['an id in an event is a number however it is written', { user_id: { $ne: 5 } }, { post_type: 'message', user_id: '5' }],
  ['an id in an event is a number however it is written', { user_id: '5' }, { post_type: 'message', user_id: '5' }],
  ['a character is a whole one', { a: { $regex: '^.$' } }, { a: '😀' }],
  ['a lone surrogate reads as U+FFFD', { a: '\ufffd' }, { a: '\ud83d' }],
  ['only \\n ends a line', { a: { $regex: '^b', $options: 'm' } }, { a: 'a\rb' }],
  ['a pattern with look-around is refused', { a: { $regex: 'a(?!c)' } }, { a: 'ab' }],
  ['a pattern with a back-reference is refused', { a: { $regex: '(a)\\1' } }, { a: 'aa' }],
  ['$options alone is refused', { a: { $options: 'i' } }, { a: 1 }],
  ['$all of nothing is refused', { a: { $all: [] } }, { a: 1 }],
  ['$where is refused', { $where: 'obj.a === 1' }, { a: 1 }],
  ['an order is one of numbers, texts or booleans', { a: { $gte: null } }, {}],
  ['an order is one of numbers, texts or booleans', { a: { $gt: [1] } }, { a: [[2]] }],
  ['a size is a whole number', { a: { $size: '1' } }, { a: [1] }],
  ['nothing is divided by zero', { a: { $mod: [0, 0] } }, { a: 1 }],
  ['a remainder is one of a division', { a: { $mod: 5 } }, { a: 1 }],
  ['$exists is true or false', { a: { $exists: 'false' } }, { a: 1 }],
  ['JSON has no timestamps', { a: { $type: 'timestamp' } }, { a: 1 }],
]

/** Numbers from a seed, so that the same run makes the same lines. */
function random(seed) {
  return bound => {
    seed = (seed + 0x6d2b79f5) | 0
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % bound
  }
}

const roll = random(7)
const pick = list => list[roll(list.length)]
const some = (most, make) => Array.from({ length: roll(most + 1) }, make)

function value(depth) {
  const kind = depth > 0 ? roll(5) : 0
  if (kind < 2) return pick([null, 0, 1, 2, true, '', 'abc', '5'])
  if (kind < 4) return some(3, () => value(depth - 1))
  return Object.fromEntries(some(2, () => [pick(['a', 'b', 'c']), value(depth - 1)]))
}

function condition(depth) {
  const choice = roll(depth > 0 ? 15 : 9)
  switch (choice) {
    case 0: return { $eq: value(1) }
    case 1: return { $ne: value(1) }
    case 2: return { [pick(['$gt', '$gte', '$lt', '$lte'])]: pick([0, 1, 2, 'abc', '5']) }
    case 3: return { [pick(['$in', '$nin'])]: some(3, () => value(1)) }
    case 4: return { $exists: roll(2) === 0 }
    case 5: return { $type: pick(['number', 'string', 'bool', 'array', 'null']) }
    case 6: return { $size: roll(4) }
    case 7: return { $mod: [1 + roll(3), roll(3)] }
    case 8: return { $regex: pick(['a', '^5$', 'c$']), $options: pick(['', 'i']) }
    case 9: return { $all: [condition(0), ...some(2, () => pick([value(1), condition(depth - 1)]))] }
    case 10: case 11: return { $elemMatch: query(depth - 1) }
    case 12: return { $not: pick([condition(depth - 1), query(depth - 1)]) }
    default: return { ...condition(depth - 1), ...condition(depth - 1) }
  }
}

function query(depth) {
  switch (roll(depth > 0 ? 8 : 4)) {
    case 4: return { $or: [query(depth - 1), query(depth - 1)] }
    case 5: return { $nor: [query(depth - 1), query(depth - 1)] }
    case 6: return { $and: [query(depth - 1), query(depth - 1)] }
    case 7: return { ...query(depth - 1), ...query(depth - 1) }
    default: {
      const key = some(2, () => pick(['a', 'b', 'c', '0', '1', 'length'])).concat('b').slice(0, 3)
      return { [['a', ...key.slice(roll(2))].join('.')]: roll(3) ? condition(depth) : value(2) }
    }
  }
}

const chance = Array.from({ length: 40 }, () => ({ a: value(4), b: value(2) }))
const objects = [...events, ...shapes, ...chance]
const out = []
const write = line => out.push(JSON.stringify(line))

/** sift's answer, or what it says against the query. */
function ask(query, object) {
  const test = sift(query)
  return test(object)
}

objects.forEach(object => write({ object }))
const seen = new Set()
for (const query of [...onEvents, ...queries, ...Array.from({ length: 1000 }, () => someQuery(3))]) {
  const line = JSON.stringify(query)
  if (seen.has(line)) continue
  seen.add(line)
  const test = sift(query)
  write({ query, matches: objects.flatMap((object, at) => (test(object) ? [at] : [])) })
}
for (const query of refused) {
  let throws
  try {
    ask(query, { a: 1 })
  } catch (error) {
    throws = error.message
  }
  if (throws === undefined) throw new Error(`sift takes ${JSON.stringify(query)}`)
  write({ query, throws })
}
for (const [differs, query, object] of differences) {
  write({ differs, query, object, matches: ask(query, object) })
}
process.stdout.write(out.join('\n') + '\n')

/** A query that sift takes. */
function someQuery(depth) {
  for (;;) {
    const made = query(depth)
    try {
      const test = sift(made)
      objects.forEach(object => test(object))
      return made
    } catch {
      // A mixture that means nothing; the next one will.
    }
  }
}
