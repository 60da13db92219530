import type { ENUMS, MESSAGES, ONEOFS } from './schema.js'

interface Scalars {
  string: string
  bool: boolean
  int32: number
  uint32: number
  int64: number
  uint64: number
  float: number
  double: number
}

type Messages = typeof MESSAGES
type Enums = typeof ENUMS
type Oneofs = typeof ONEOFS

export type MessageName = keyof Messages
/** The value names of an enumeration of the schema. */
export type EnumValue<E extends keyof Enums> = keyof Enums[E]

type OneofMember<M> = M extends keyof Oneofs
  ? { [C in keyof Oneofs[M]]: Oneofs[M][C] extends readonly (infer F)[] ? F : never }[keyof Oneofs[M]]
  : never

type WrittenValue<T> = T extends keyof Scalars
  ? Scalars[T]
  : T extends keyof Enums
    ? EnumValue<T>
    : T extends MessageName
      ? Written<T>
      : never

type SettledValue<T> = T extends keyof Scalars
  ? Scalars[T]
  : T extends keyof Enums
    ? EnumValue<T>
    : T extends MessageName
      ? Settled<T>
      : never

type WrittenField<F> = F extends { keyType: string; type: infer T }
  ? Record<string, WrittenValue<T>>
  : F extends { rule: 'repeated'; type: infer T }
    ? WrittenValue<T>[]
    : F extends { type: infer T }
      ? WrittenValue<T>
      : never

type SettledField<F> = F extends { keyType: string; type: infer T }
  ? Record<string, SettledValue<T>>
  : F extends { rule: 'repeated'; type: infer T }
    ? SettledValue<T>[]
    : F extends { type: infer T }
      ? SettledValue<T>
      : never

/** Singular messages and members of a choice have no default: absent is a value of its own. */
type OptionalField<M extends MessageName> = {
  [K in keyof Messages[M]]: K extends OneofMember<M>
    ? K
    : Messages[M][K] extends { keyType: string } | { rule: 'repeated' }
      ? never
      : Messages[M][K] extends { type: MessageName }
        ? K
        : never
}[keyof Messages[M]]

/** A message as a file or the options write it: only what is set. */
export type Written<M extends MessageName> = { -readonly [K in keyof Messages[M]]?: WrittenField<Messages[M][K]> }

/** A message with every default filled in. */
export type Settled<M extends MessageName> = {
  -readonly [K in Exclude<keyof Messages[M], OptionalField<M>>]: SettledField<Messages[M][K]>
} & { -readonly [K in OptionalField<M>]?: SettledField<Messages[M][K]> }
