import { type FieldPath, suggestion } from './field-path.js'
import { type FieldInfo, integerRange, type MessageInfo, messageInfo } from './reflection.js'
import type { MessageName, Settled, Written } from './schema-types.js'

/** Ends a walk with an error about one setting. */
export type Fail = (path: FieldPath, problem: string) => never

type Plain = Record<string, unknown>

/**
 * Turns a protobuf.js message, or options given from JavaScript, into plain settings along the schema: enumerations by
 * name, 64-bit integers as numbers, maps without a prototype. Every field and type is checked.
 * `null` is kept: in options it takes a setting away.
 */
export function toWritten<M extends MessageName>(name: M, value: unknown, fail: Fail): Written<M> {
  return message(messageInfo(name), value, [], fail) as Written<M>
}

/** Fills every default of the schema in. Messages and members of a choice that are absent stay absent. */
export function toSettled<M extends MessageName>(name: M, written: Written<M>): Settled<M> {
  return settle(messageInfo(name), written as Plain) as Settled<M>
}

function isRecord(value: unknown): value is Plain {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value)
}

/** What a value is, in the words of an error. */
function shown(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object' || typeof value === 'function')
    return typeof value === 'object' ? 'an object' : 'a function'
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value)
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}

function message(info: MessageInfo, value: unknown, path: FieldPath, fail: Fail): Plain {
  if (!isRecord(value)) return fail(path, `an object with its fields was expected, not ${shown(value)}`)
  const plain: Plain = {}
  const chosen = new Map<string, string>()
  for (const name of Object.keys(value)) {
    const content = value[name]
    if (content === undefined) continue
    const field = info.fields.get(name)
    if (field === undefined) return fail([...path, name], `unknown field${suggestion(name, info.fields.keys())}`)
    if (field.choice !== undefined && content !== null) {
      const other = chosen.get(field.choice)
      if (other !== undefined) return fail([...path, name], `cannot be set together with ${other}`)
      chosen.set(field.choice, name)
    }
    plain[name] = content === null ? null : fieldValue(field, content, [...path, name], fail)
  }
  return plain
}

function fieldValue(field: FieldInfo, value: unknown, path: FieldPath, fail: Fail): unknown {
  if (field.kind === 'single') return element(field, value, path, fail)
  if (field.kind === 'list') {
    const list: unknown =
      ArrayBuffer.isView(value) && !(value instanceof DataView) ? Array.from(value as Int32Array) : value
    if (!Array.isArray(list)) return fail(path, `a list was expected, not ${shown(value)}`)
    return list.map((item, index) => element(field, item, [...path, index], fail))
  }
  if (!isRecord(value)) return fail(path, `an object of names and values was expected, not ${shown(value)}`)
  const map: Plain = Object.create(null)
  for (const key of Object.keys(value)) {
    if (key === '__proto__') return fail([...path, key], '"__proto__" is not allowed as a key')
    const own = [...path, key]
    if (field.keyType !== 'string' && !/^(?:0|[1-9]\d{0,15})$/.test(key)) fail(own, 'the key must be a whole number')
    const content = value[key]
    if (content === undefined) continue
    map[key] = content === null ? null : element(field, content, own, fail)
  }
  return map
}

function element(field: FieldInfo, value: unknown, path: FieldPath, fail: Fail): unknown {
  if (field.type === 'ModelParameter') return parameter(field.message as MessageInfo, value, path, fail)
  if (field.message) return message(field.message, value, path, fail)
  if (field.values) return enumeration(field.values, value, path, fail)
  switch (field.type) {
    case 'string':
      return typeof value === 'string' ? value : fail(path, `a string was expected, not ${shown(value)}`)
    case 'bool':
      return typeof value === 'boolean' ? value : fail(path, `true or false was expected, not ${shown(value)}`)
    case 'float':
    case 'double':
      return typeof value === 'number' ? value : fail(path, `a number was expected, not ${shown(value)}`)
    default:
      return integer(field.type, value, path, fail)
  }
}

/** A parameter may be given as its message or, in options, as the string, number or boolean itself. */
function parameter(info: MessageInfo, value: unknown, path: FieldPath, fail: Fail): unknown {
  if (typeof value === 'string') return { string_value: value }
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') {
    return { string_value: String(value) }
  }
  return message(info, value, path, fail)
}

function enumeration(values: Readonly<Record<string, number>>, value: unknown, path: FieldPath, fail: Fail): string {
  const names = Object.keys(values)
  const name = typeof value === 'number' ? names.find((candidate) => values[candidate] === value) : value
  if (typeof name === 'string' && names.includes(name)) return name
  const hint = typeof name === 'string' ? suggestion(name, names) : ''
  return fail(path, `unknown value ${shown(value)}${hint || `; it is one of ${names.join(', ')}`}`)
}

function integer(type: string, value: unknown, path: FieldPath, fail: Fail): number {
  const [min, max] = integerRange(type) as readonly [bigint, bigint]
  let number = Number.NaN
  if (typeof value === 'number') number = value
  else if (typeof value === 'bigint' || isLong(value)) number = Number(value)
  if (!Number.isInteger(number)) return fail(path, `a whole number was expected, not ${shown(value)}`)
  if (!Number.isSafeInteger(number))
    return fail(path, `${shown(String(value)).slice(1, -1)} is too large; the limit is 2^53 - 1`)
  if (min === 0n && number < 0) return fail(path, `cannot be negative (${number})`)
  if (number < Number(min) || number > Number(max)) return fail(path, `${number} does not fit ${type}`)
  return number
}

/** The 64-bit integers of protobuf.js. */
function isLong(value: unknown): boolean {
  return isRecord(value) && typeof value.low === 'number' && typeof value.high === 'number' && 'unsigned' in value
}

function settle(info: MessageInfo, written: Plain): Plain {
  const settled: Plain = {}
  for (const field of info.fields.values()) {
    const value = written[field.name]
    const content = (item: unknown): unknown => (field.message ? settle(field.message, item as Plain) : item)
    if (field.kind === 'list') {
      settled[field.name] = ((value ?? []) as unknown[]).map(content)
    } else if (field.kind === 'map') {
      const map: Plain = Object.create(null)
      for (const [key, item] of Object.entries((value ?? {}) as Plain)) map[key] = content(item)
      settled[field.name] = map
    } else if (value !== undefined) {
      settled[field.name] = content(value)
    } else if (field.message === undefined && field.choice === undefined) {
      settled[field.name] = scalarDefault(field)
    }
  }
  return settled
}

function scalarDefault(field: FieldInfo): unknown {
  if (field.values) return Object.keys(field.values)[0]
  return field.type === 'string' ? '' : field.type === 'bool' ? false : 0
}
