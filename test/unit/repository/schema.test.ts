import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { KSERVE_DATATYPES, toConfigDataType, toKserveDatatype } from '../../../src/repository/datatypes.js'
import { ENUMS, type FieldSpec, MESSAGES, ONEOFS } from '../../../src/repository/schema.js'

/** Names and numbers of Triton's public model_config.proto, written down from its descriptor (tritonclient 2.73). */
const triton: Record<string, Record<string, string>> = JSON.parse(
  readFileSync(new URL('../../data/config/triton-fields.json', import.meta.url), 'utf8'),
)

function describeField(message: string, name: string, field: FieldSpec): string {
  const values: Record<string, number> | undefined = ENUMS[field.type as keyof typeof ENUMS]
  const type = values
    ? `enum ${Object.entries(values)
        .map(([value, number]) => `${value}=${number}`)
        .join(' ')}`
    : field.type
  const choices: Record<string, readonly string[]> = ONEOFS[message as keyof typeof ONEOFS] ?? {}
  const choice = Object.keys(choices).find((candidate) => choices[candidate]?.includes(name))
  const shape = field.keyType ? `map<${field.keyType}, ${type}>` : field.rule === 'repeated' ? `repeated ${type}` : type
  return `${field.id} ${shape}${choice ? ` in ${choice}` : ''}`
}

describe('the schema of a model configuration', () => {
  test('has the messages of Triton and no others', () => {
    expect(Object.keys(MESSAGES).sort()).toEqual(Object.keys(triton).sort())
  })

  test.each(Object.keys(triton))('%s has the names, numbers, types and choices of Triton', (message) => {
    const fields: Record<string, FieldSpec> = MESSAGES[message as keyof typeof MESSAGES]
    const ours = Object.fromEntries(
      Object.entries(fields).map(([name, field]) => [name, describeField(message, name, field)]),
    )
    expect(ours).toEqual(triton[message])
  })

  test('every data type but TYPE_INVALID has a KServe name and comes back from it', () => {
    const types = Object.keys(ENUMS.DataType).filter((type) => type !== 'TYPE_INVALID')
    expect(Object.keys(KSERVE_DATATYPES).sort()).toEqual(types.sort())
    for (const type of types) expect(toConfigDataType(toKserveDatatype(type) ?? '')).toBe(type)
    expect(toKserveDatatype('TYPE_STRING')).toBe('BYTES')
  })

  test('names that only a prototype has are no data types', () => {
    expect(toKserveDatatype('toString')).toBeUndefined()
    expect(toConfigDataType('constructor')).toBeUndefined()
    expect(toKserveDatatype('TYPE_INVALID')).toBeUndefined()
  })
})
