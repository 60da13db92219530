import protobuf from 'protobufjs/light.js'
import { ENUMS, type FieldSpec, MESSAGES, ONEOFS } from './schema.js'
import type { MessageName } from './schema-types.js'

const INTEGER_RANGES: Readonly<Record<string, readonly [min: bigint, max: bigint]>> = {
  int32: [-(2n ** 31n), 2n ** 31n - 1n],
  uint32: [0n, 2n ** 32n - 1n],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  uint64: [0n, 2n ** 64n - 1n],
}

/** One field of the schema with what its type means, for code that walks values along the schema. */
export interface FieldInfo {
  readonly name: string
  readonly kind: 'single' | 'list' | 'map'
  /** A scalar type, an enumeration or a message, by name. */
  readonly type: string
  /** The message's fields, where the type is a message. */
  readonly message?: MessageInfo
  /** The enumeration's names, where the type is one. */
  readonly values?: Readonly<Record<string, number>>
  readonly keyType?: string
  /** Name of the choice the field belongs to. */
  readonly choice?: string
}

/** A message of the schema; `fields` is a Map, so that no name can reach a prototype. */
export interface MessageInfo {
  readonly name: string
  readonly fields: ReadonlyMap<string, FieldInfo>
}

const messages = new Map<string, MessageInfo>()

/** Describes a message of the schema. */
export function messageInfo(name: MessageName): MessageInfo {
  return describe(name)
}

/** The range of an integer type; undefined for every other type. */
export function integerRange(type: string): readonly [min: bigint, max: bigint] | undefined {
  return INTEGER_RANGES[type]
}

function describe(name: string): MessageInfo {
  const known = messages.get(name)
  if (known) return known
  const specs: Record<string, FieldSpec> = MESSAGES[name as MessageName]
  const oneofs: Record<string, readonly string[]> = ONEOFS[name as keyof typeof ONEOFS] ?? {}
  const fields = new Map<string, FieldInfo>()
  const info: MessageInfo = { name, fields }
  messages.set(name, info)
  for (const [field, spec] of Object.entries(specs)) {
    fields.set(field, {
      name: field,
      kind: spec.keyType ? 'map' : spec.rule === 'repeated' ? 'list' : 'single',
      type: spec.type,
      message: Object.hasOwn(MESSAGES, spec.type) ? describe(spec.type) : undefined,
      values: Object.hasOwn(ENUMS, spec.type) ? ENUMS[spec.type as keyof typeof ENUMS] : undefined,
      keyType: spec.keyType,
      choice: Object.keys(oneofs).find((choice) => oneofs[choice]?.includes(field)),
    })
  }
  return info
}

let root: protobuf.Root | undefined

/** The schema as protobuf.js reflects it, for its text format reader and writer. */
export function reflectedType(name: MessageName): protobuf.Type {
  root ??= reflect()
  return root.lookupType(name)
}

function reflect(): protobuf.Root {
  const nested: Record<string, protobuf.AnyNestedObject> = {}
  for (const [name, values] of Object.entries(ENUMS)) nested[name] = { values }
  for (const [name, fields] of Object.entries(MESSAGES)) {
    const choices: Record<string, readonly string[]> = ONEOFS[name as keyof typeof ONEOFS] ?? {}
    const oneofs = Object.fromEntries(
      Object.entries(choices).map(([choice, members]) => [choice, { oneof: [...members] }]),
    )
    nested[name] = { fields, oneofs }
  }
  const reflected = protobuf.Root.fromJSON({ nested })
  reflected.resolveAll()
  // With a class of ours protobuf.js compiles none: Node may run with --disallow-code-generation-from-strings.
  for (const name of Object.keys(MESSAGES)) reflected.lookupType(name).ctor = class extends protobuf.Message {}
  return reflected
}
