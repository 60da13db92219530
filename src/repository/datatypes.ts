import type { EnumValue } from './schema-types.js'

/** A data type as config.pbtxt names it. */
export type ConfigDataType = EnumValue<'DataType'>

/** The one table between the names of config.pbtxt and those of the KServe protocol. */
export const KSERVE_DATATYPES = {
  TYPE_BOOL: 'BOOL',
  TYPE_UINT8: 'UINT8',
  TYPE_UINT16: 'UINT16',
  TYPE_UINT32: 'UINT32',
  TYPE_UINT64: 'UINT64',
  TYPE_INT8: 'INT8',
  TYPE_INT16: 'INT16',
  TYPE_INT32: 'INT32',
  TYPE_INT64: 'INT64',
  TYPE_FP16: 'FP16',
  TYPE_FP32: 'FP32',
  TYPE_FP64: 'FP64',
  TYPE_STRING: 'BYTES',
  TYPE_BF16: 'BF16',
} as const satisfies Record<Exclude<ConfigDataType, 'TYPE_INVALID'>, string>

/** A datatype as the KServe protocol, and the API of subten, name it. */
export type KserveDatatype = (typeof KSERVE_DATATYPES)[keyof typeof KSERVE_DATATYPES]

const CONFIG_DATATYPES: ReadonlyMap<string, ConfigDataType> = new Map(
  Object.entries(KSERVE_DATATYPES).map(([config, kserve]) => [kserve, config as ConfigDataType]),
)

/** `TYPE_STRING` → `BYTES`; undefined for TYPE_INVALID and unknown names. */
export function toKserveDatatype(type: string): KserveDatatype | undefined {
  return Object.hasOwn(KSERVE_DATATYPES, type) ? KSERVE_DATATYPES[type as keyof typeof KSERVE_DATATYPES] : undefined
}

/** `BYTES` → `TYPE_STRING`; undefined for a datatype that config.pbtxt cannot say. */
export function toConfigDataType(datatype: string): ConfigDataType | undefined {
  return CONFIG_DATATYPES.get(datatype)
}
