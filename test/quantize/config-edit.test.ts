import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { editConfig } from '../../src/repository/config-edit.js'
import { parseConfig } from '../../src/repository/config-text.js'

const fieldsOf = (text: string) => parseConfig(text, 'config.pbtxt').fields
const parameter = (text: string, key: string) => fieldsOf(text).parameters?.[key]?.string_value

describe('editing a config.pbtxt', () => {
  const text = `# first
name: 'a' "b" # the name
parameters { key: "one" value { string_value: "1" } }  # kept
input [ { name: "name" data_type: TYPE_FP32 dims: [ 1 ] } ];
parameters: { value: { string_value: "2" }, key: "two" };
`

  it('changes the name and leaves all else as it is written', () => {
    expect(editConfig(text, { name: 'other' })).toBe(text.replace(`'a' "b"`, '"other"'))
  })

  it('replaces, adds and takes away parameters', () => {
    const edited = editConfig(text, {
      parameters: { one: null, two: 'a "quoted" \\ text', three: '{"é":1}', four: null },
    })
    expect(Object.keys(fieldsOf(edited).parameters ?? {})).toEqual(['two', 'three'])
    expect(parameter(edited, 'two')).toBe('a "quoted" \\ text')
    expect(parameter(edited, 'three')).toBe('{"é":1}')
    expect(edited).toContain('# first\nname: \'a\' "b" # the name\n# kept\ninput [')
  })

  it('replaces, adds and takes away fields', () => {
    const config =
      '# made by hand\nbackend: "onnxruntime" platform: \'onnx\' "runtime_onnx"\nmax_batch_size: 8 # rows\n'
    const fields = {
      backend: 'tensorrt',
      platform: null,
      max_batch_size: 4,
      default_model_filename: 'a.plan',
      name: null,
    }
    expect(editConfig(config, { fields })).toBe(
      '# made by hand\nbackend: "tensorrt" \nmax_batch_size: 4 # rows\ndefault_model_filename: "a.plan"\n',
    )
  })

  it('does so in lists too', () => {
    const list = `parameters [ { key: "a" value { string_value: "1" } }, { key: "b" value < string_value: "2" > } ]`
    expect(fieldsOf(editConfig(list, { parameters: { a: null } })).parameters).toEqual({ b: { string_value: '2' } })
    expect(fieldsOf(editConfig(list, { parameters: { b: null } })).parameters).toEqual({ a: { string_value: '1' } })
    expect(fieldsOf(editConfig(list, { parameters: { a: null, b: null } })).parameters ?? {}).toEqual({})
    expect(parameter(editConfig(list, { parameters: { b: '3' } }), 'b')).toBe('3')
  })

  it('refuses what is no configuration', () => {
    expect(() => editConfig('name "a', { name: 'b' }, 'x/config.pbtxt')).toThrow(/x\/config\.pbtxt:1/)
  })

  it('gives back any text that it was given as a parameter', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), (before, after) => {
        const first = editConfig(text, { parameters: { kept: JSON.stringify(before) } })
        const second = editConfig(first, { parameters: { kept: JSON.stringify(after) } })
        expect(JSON.parse(parameter(second, 'kept') as string)).toBe(after)
        expect(editConfig(second, { parameters: { kept: null } })).toBe(text)
      }),
    )
  })
})
