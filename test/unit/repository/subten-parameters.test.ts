import { describe, expect, it } from 'vitest'
import { parseConfig } from '../../../src/repository/config-text.js'
import { resolveConfig } from '../../../src/repository/model-config.js'
import { engineParameters, type SubtenSettings, subtenSettings } from '../../../src/repository/subten-parameters.js'
import { thrown } from './thrown.js'

const FILE = '/models/m/config.pbtxt'
const io = `input { name: "x" data_type: TYPE_FP32 dims: 1 } output { name: "y" data_type: TYPE_FP32 dims: 1 }`
const entry = (name: string, json: string): string =>
  `parameters { key: "${name}" value {\n string_value: "${json.replaceAll('"', '\\"')}" } }\n`

function settings(more: string, batch = 8): SubtenSettings {
  const document = parseConfig(`max_batch_size: ${batch}\n${io}\n${more}`, FILE)
  return subtenSettings(document, resolveConfig(document))
}

describe('parameters named subten.*', () => {
  it('are settings of subten, and the others are the engine’s', () => {
    const text = [
      'instance_group { count: 2 }',
      entry('subten.slo', '{"p99Ms": 2.5}'),
      entry('subten.count_min', '1'),
      entry('subten.count_max', '4'),
      entry('subten.deterministic', 'true'),
      entry('subten.weight', '0.5'),
      entry('subten.cheaper_variant', '"digits_int8"'),
      entry('subten.preprocess', '{"fit":"ink"}'),
      entry('subten.quantization', '{"from":"digits"}'),
      entry('subten.accuracy', '{"top1":0.9}'),
      entry('busy_us', '10'),
    ].join('\n')
    expect(settings(text)).toEqual({
      slo: { p99Ms: 2.5 },
      countMin: 1,
      countMax: 4,
      deterministic: true,
      weight: 0.5,
      cheaperVariant: 'digits_int8',
    })
    const document = parseConfig(`max_batch_size: 8\n${io}\n${text}`, FILE)
    expect(engineParameters(resolveConfig(document))).toEqual([['busy_us', '10']])
    expect(settings('')).toEqual({})
  })

  it('knows the older name of subten.preprocess, and refuses both at once', () => {
    expect(settings(entry('subten.image', '{"fit":"ink"}'))).toEqual({})
    const both = `${entry('subten.image', '{}')}${entry('subten.preprocess', '{}')}`
    expect(thrown(() => settings(both))).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('is the older name of subten.preprocess'),
      details: { file: FILE, line: expect.any(Number), field: expect.stringContaining('subten.image') },
    })
  })

  it.each<[string, string, RegExp]>([
    ['subten.slo', '5', /must be \{ p99Ms \}/],
    ['subten.slo', '{"p99Ms": 0}', /must be \{ p99Ms \}/],
    ['subten.slo', '{"p99Ms": 3600001}', /at most 3600000/],
    ['subten.slo', '{"p99": 5}', /must be \{ p99Ms \}/],
    ['subten.slo', '{"p99Ms": 5, "p50Ms": 1}', /must be \{ p99Ms \}/],
    ['subten.slo', '[{"p99Ms": 5}]', /must be \{ p99Ms \}/],
    ['subten.count_min', '0', /whole number from 1 to 64, not 0/],
    ['subten.count_max', '65', /whole number from 1 to 64, not 65/],
    ['subten.count_max', '1.5', /whole number from 1 to 64/],
    ['subten.count_max', '"2"', /whole number from 1 to 64/],
    ['subten.deterministic', '1', /true or false/],
    ['subten.weight', '0', /above 0/],
    ['subten.weight', '1e400', /above 0/],
    ['subten.cheaper_variant', 'digits_int8', /is JSON, and this is not/],
    ['subten.cheaper_variant', '""', /the name of a model beside it/],
    ['subten.cheaper_variant', 'null', /the name of a model beside it/],
  ])('%s of %s is CONFIG_INVALID with file, line and field', (name, json, message) => {
    const error = thrown(() => settings(entry(name, json)))
    expect(error.code).toBe('CONFIG_INVALID')
    expect(error.message).toMatch(message)
    expect(error.details).toEqual({ file: FILE, line: 4, field: `parameters["${name}"].string_value` })
  })

  it.each([
    ['subten.cuont_min', 'subten.count_min'],
    ['subten.slos', 'subten.slo'],
    ['subten.cheaper_varient', 'subten.cheaper_variant'],
  ])('%s is unknown: %s was meant', (name, meant) => {
    const error = thrown(() => settings(entry(name, '1')))
    expect(error).toMatchObject({ code: 'CONFIG_INVALID', details: { file: FILE, line: 3 } })
    expect(error.message).toContain(`did you mean "${meant}"?`)
    expect(error.remedy).toContain('subten.weight')
  })

  it('bounds of instances hold together, and the instances lie between them', () => {
    const groups = 'instance_group { count: 3 } instance_group { count: 1 }\n'
    expect(settings(groups + entry('subten.count_min', '4') + entry('subten.count_max', '4'))).toMatchObject({
      countMin: 4,
      countMax: 4,
    })
    const field = (text: string): unknown => thrown(() => settings(groups + text)).details.field
    expect(field(entry('subten.count_min', '5'))).toBe('parameters["subten.count_min"].string_value')
    expect(field(entry('subten.count_max', '3'))).toBe('parameters["subten.count_max"].string_value')
    expect(thrown(() => settings(entry('subten.count_min', '3') + entry('subten.count_max', '2'))).message).toMatch(
      /3 is above subten.count_max \(2\)/,
    )
  })

  it('where no group says how many instances there are, there are as many as must run', () => {
    const document = parseConfig(`max_batch_size: 8\n${io}\n${entry('subten.count_min', '3')}`, FILE)
    expect(resolveConfig(document).instance_group).toMatchObject([{ count: 3 }])
  })

  it('deterministic needs a batch to pad to, which may still be found in the model', () => {
    expect(thrown(() => settings(entry('subten.deterministic', 'true'), 0)).message).toMatch(/max_batch_size above 0/)
    expect(settings(entry('subten.deterministic', 'false'), 0)).toEqual({ deterministic: false })
    const document = parseConfig(entry('subten.deterministic', 'true'), FILE)
    const config = resolveConfig(document, { partial: true })
    expect(subtenSettings(document, config, true)).toEqual({ deterministic: true })
    expect(() => subtenSettings(document, config)).toThrow(/max_batch_size/)
  })
})
