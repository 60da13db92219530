import { describe, expect, test } from 'vitest'
import { emptyConfig } from '../../../src/repository/config-document.js'
import { parseConfig } from '../../../src/repository/config-text.js'
import { resolveConfig } from '../../../src/repository/model-config.js'
import { applyOverrides, type ConfigOverrides, isConfigField } from '../../../src/repository/overrides.js'
import { unsupportedSettings } from '../../../src/repository/unsupported.js'
import { thrown } from './thrown.js'

const FILE = 'models/m/config.pbtxt'
const BASE = 'max_batch_size: 8\ninput { name: "x" data_type: TYPE_FP32 dims: 4 }\n'
const resolve = (text: string) => resolveConfig(parseConfig(text, FILE), { modelName: 'm' })

describe('a resolved configuration', () => {
  test('has the defaults of Triton', () => {
    const config = resolve(`${BASE}dynamic_batching { }`)
    expect(config.name).toBe('m')
    expect(config.version_policy).toEqual({ latest: { num_versions: 1 } })
    expect(config.dynamic_batching).toEqual({
      preferred_batch_size: [8],
      max_queue_delay_microseconds: 0,
      preserve_ordering: false,
      priority_levels: 0,
      default_priority_level: 0,
      default_queue_policy: {
        timeout_action: 'REJECT',
        default_timeout_microseconds: 0,
        allow_timeout_override: false,
        max_queue_size: 0,
      },
      priority_queue_policy: {},
    })
    expect(config.optimization.input_pinned_memory).toEqual({ enable: true })
    expect(config.instance_group).toMatchObject([{ name: 'm', kind: 'KIND_AUTO', count: 1 }])
    expect(config.output).toEqual([])
  })

  test('does not batch across requests unless it says so', () => {
    expect(resolve(BASE).dynamic_batching).toBeUndefined()
    expect('dynamic_batching' in resolve(BASE)).toBe(false)
  })

  test('takes the instance count of the caller where a group gives none', () => {
    const document = parseConfig('instance_group [ { }, { count: 3 } ]', FILE)
    const groups = resolveConfig(document, { modelName: 'm', instanceCount: 2, partial: true }).instance_group
    expect(groups.map(({ name, count }) => [name, count])).toEqual([
      ['m_0', 2],
      ['m_1', 3],
    ])
  })

  test('may have dynamic batching without a batch dimension, as in Triton', () => {
    const config = resolve('input { name: "x" data_type: TYPE_FP32 dims: 4 } dynamic_batching { }')
    expect(config.dynamic_batching?.preferred_batch_size).toEqual([])
  })

  test('accepts a backend that nobody knows', () => {
    expect(resolve(`backend: "my_backend"\n${BASE}`).backend).toBe('my_backend')
  })

  test('leaves tensors incomplete only while the model is still to be asked', () => {
    const document = parseConfig('input { name: "x" }', FILE)
    expect(resolveConfig(document, { partial: true }).input[0]?.data_type).toBe('TYPE_INVALID')
    expect(thrown(() => resolveConfig(document)).code).toBe('CONFIG_INVALID')
  })
})

const dynamic = (content: string): string => `${BASE}dynamic_batching {\n${content}\n}`
const input = (content: string): string => `input {\nname: "y" data_type: TYPE_FP32\n${content}\n}`

describe('settings that contradict each other', () => {
  test.each([
    ['name: "other"', 1, 'name', 'its directory "m"'],
    ['max_batch_size: -1', 1, 'max_batch_size', 'cannot be negative'],
    [
      dynamic('preferred_batch_size: [ 4, 9 ]'),
      4,
      'dynamic_batching.preferred_batch_size[1]',
      '9 is larger than max_batch_size (8)',
    ],
    [dynamic('preferred_batch_size: 0'), 4, 'dynamic_batching.preferred_batch_size[0]', 'at least 1'],
    [dynamic('priority_levels: 2'), 3, 'dynamic_batching', 'needs a default_priority_level'],
    [
      dynamic('priority_levels: 2\ndefault_priority_level: 3'),
      5,
      'dynamic_batching.default_priority_level',
      'no level 3; the levels are 1 to 2',
    ],
    [dynamic('default_priority_level: 1'), 4, 'dynamic_batching.default_priority_level', 'priority_levels is not set'],
    [
      dynamic('priority_levels: 2 default_priority_level: 1\npriority_queue_policy { key: 3 value { } }'),
      5,
      'dynamic_batching.priority_queue_policy[3]',
      'no level 3',
    ],
    [
      dynamic('priority_levels: 2 default_priority_level: 1\npreserve_ordering: true'),
      5,
      'dynamic_batching.preserve_ordering',
      '2 priority levels',
    ],
    [
      dynamic(
        'preserve_ordering: true\ndefault_queue_policy { timeout_action: DELAY default_timeout_microseconds: 5 }',
      ),
      5,
      'dynamic_batching.default_queue_policy.timeout_action',
      'preserve_ordering forbids',
    ],
    [
      `${BASE}input {\nname: "x" data_type: TYPE_FP32 dims: 1 }`,
      4,
      'input[1].name',
      'two inputs named "x" (the other on line 2)',
    ],
    [input('dims: [ 1, 0 ]'), 3, 'input[0].dims[1]', 'this is 0'],
    [input('dims: -2'), 3, 'input[0].dims[0]', 'this is -2'],
    [input(''), 1, 'input[0]', 'must have dims'],
    ['input {\ndata_type: TYPE_FP32 dims: 1 }', 1, 'input[0]', 'must have a name'],
    ['input { name: "x" dims: 1 }', 1, 'input[0]', 'must have a data_type'],
    ['output { name: "x" dims: 1\ndata_type: TYPE_INVALID }', 2, 'output[0].data_type', 'must have a data_type'],
    [input('dims: [ 2, 3 ]\nreshape { shape: [ 5 ] }'), 4, 'input[0].reshape', 'does not hold as many elements'],
    [
      input('dims: [ 2, -1, 3 ]\nreshape { shape: [ -1, 6 ] }'),
      4,
      'input[0].reshape',
      'does not hold as many elements',
    ],
    [input('dims: 1\nformat: FORMAT_NHWC'), 4, 'input[0].format', 'needs 3 dims'],
    [input('dims: 1\nis_shape_tensor: true'), 4, 'input[0].is_shape_tensor', 'TensorRT'],
    [`${BASE}instance_group {\ncount: -1 }`, 4, 'instance_group[0].count', 'cannot be negative'],
    [`${BASE}instance_group {\ncount: 65 }`, 4, 'instance_group[0].count', 'limit of 64'],
    [`${BASE}instance_group { kind: KIND_CPU\ngpus: 0 }`, 4, 'instance_group[0].gpus', 'KIND_CPU'],
    [`${BASE}version_policy {\nspecific { } }`, 4, 'version_policy.specific.versions', 'at least one'],
    [`${BASE}version_policy { specific { versions: [ 1,\n0 ] } }`, 4, 'version_policy.specific.versions[1]', 'not 0'],
    [`${BASE}version_policy { latest {\nnum_versions: 0 } }`, 4, 'version_policy.latest.num_versions', 'at least 1'],
    [
      `${BASE}parameters { key: "subten.cheaper_variant"\nvalue { string_value: "auto" } }`,
      4,
      'parameters["subten.cheaper_variant"].string_value',
      'is JSON',
    ],
    [
      `${BASE}default_model_filename: "../other/model.onnx"`,
      3,
      'default_model_filename',
      'inside the version directory',
    ],
    [`${BASE}default_model_filename: "/etc/passwd"`, 3, 'default_model_filename', 'inside the version directory'],
    [
      `${BASE}output { name: "y" data_type: TYPE_FP32 dims: 1 label_filename: "../l" }`,
      3,
      'output[0].label_filename',
      'inside the model directory',
    ],
    [`${BASE}backend: "onnxruntime"\nplatform: "tensorrt_plan"`, 4, 'platform', 'belongs to the backend "tensorrt"'],
    [`${BASE}model_warmup { name: "w"\nbatch_size: 9 }`, 4, 'model_warmup[0].batch_size', 'max_batch_size is 8'],
    [
      `${BASE}model_warmup { batch_size: 1\ninputs { key: "z" value { data_type: TYPE_FP32 dims: 4 zero_data: true } } }`,
      4,
      'model_warmup[0].inputs.z',
      'no input named "z"',
    ],
    [
      `${BASE}model_warmup { batch_size: 1\ninputs { key: "x" value { data_type: TYPE_INT8 dims: 4 zero_data: true } } }`,
      4,
      'model_warmup[0].inputs.x.data_type',
      'the input is TYPE_FP32',
    ],
    [
      `${BASE}model_warmup { batch_size: 1 inputs { key: "x" value {\ndata_type: TYPE_FP32 dims: -1 zero_data: true } } }`,
      4,
      'model_warmup[0].inputs.x.dims[0]',
      'a fixed size',
    ],
    [
      `${BASE}model_warmup { batch_size: 1 inputs { key: "x" value { data_type: TYPE_FP32\ninput_data_file: "../x" } } }`,
      4,
      'model_warmup[0].inputs.x.input_data_file',
      'inside warmup/',
    ],
    [
      `${BASE}batch_input { data_type: TYPE_INT32\nsource_input: "z" }`,
      4,
      'batch_input[0].source_input[0]',
      'no input named "z"',
    ],
  ])('%j is an error on line %i, at %s', (text, line, field, problem) => {
    const error = thrown(() => resolve(text))
    expect(error.code).toBe('CONFIG_INVALID')
    expect(error.details).toEqual({ file: FILE, line, field })
    expect(error.message).toContain(`${FILE}:${line}: ${field}: `)
    expect(error.message).toContain(problem)
    expect(error.remedy).not.toBe('')
  })

  test('reshapes that hold as many elements are taken', () => {
    const shapes = [
      ['[ 2, 4, -1, 6 ]', '[ 8, -1, 1, 6 ]'],
      ['[ 1 ]', '[ ]'],
      ['[ 6 ]', '[ 2, 3 ]'],
    ]
    for (const [dims, shape] of shapes) {
      expect(resolve(input(`dims: ${dims} reshape { shape: ${shape} }`)).input).toHaveLength(1)
    }
  })
})

describe('options laid over a configuration', () => {
  const written = parseConfig(
    `${dynamic('max_queue_delay_microseconds: 100\npreferred_batch_size: [ 2, 4 ]')}\nparameters { key: "a" value { string_value: "1" } }`,
    FILE,
  )
  const over = (overrides: ConfigOverrides) => resolveConfig(applyOverrides(written, overrides), { modelName: 'm' })

  test('merge messages and maps, and replace lists', () => {
    const config = over({ dynamic_batching: { preferred_batch_size: [8] }, parameters: { b: 2, c: true } })
    expect(config.dynamic_batching?.max_queue_delay_microseconds).toBe(100)
    expect(config.dynamic_batching?.preferred_batch_size).toEqual([8])
    expect(config.parameters).toEqual({
      a: { string_value: '1' },
      b: { string_value: '2' },
      c: { string_value: 'true' },
    })
  })

  test('do not change what they are laid over', () => {
    over({ max_batch_size: 4, parameters: { a: 'changed' } })
    expect(written.fields.max_batch_size).toBe(8)
    expect(written.fields.parameters?.a).toEqual({ string_value: '1' })
  })

  test('take a setting away with null', () => {
    expect(over({ dynamic_batching: null }).dynamic_batching).toBeUndefined()
    expect(over({ parameters: { a: null } }).parameters).toEqual({})
    expect(over({ input: [{ name: 'x', data_type: 'TYPE_FP32', dims: [1], reshape: undefined }] }).input).toHaveLength(
      1,
    )
  })

  test('choosing one scheduler, or one version policy, takes the other away', () => {
    const document = applyOverrides(written, { sequence_batching: { direct: {} } })
    expect(document.fields.dynamic_batching).toBeUndefined()
    const policy = parseConfig(`${BASE}version_policy { latest { num_versions: 2 } }`, FILE)
    expect(resolveConfig(applyOverrides(policy, { version_policy: { all: {} } })).version_policy).toEqual({ all: {} })
  })

  test.each([
    [{ max_batch_sise: 4 }, 'options: max_batch_sise: unknown field; did you mean "max_batch_size"?'],
    [{ max_batch_size: '4' }, 'options: max_batch_size: a whole number was expected, not "4"'],
    [{ max_batch_size: 1.5 }, 'options: max_batch_size: a whole number was expected, not 1.5'],
    [{ max_batch_size: 2 ** 31 }, 'options: max_batch_size: 2147483648 does not fit int32'],
    [{ dynamic_batching: true }, 'options: dynamic_batching: an object with its fields was expected, not true'],
    [{ dynamic_batching: { priority_levels: -1 } }, 'options: dynamic_batching.priority_levels: cannot be negative'],
    [{ instance_group: { count: 2 } }, 'options: instance_group: a list was expected, not an object'],
    [{ instance_group: [{ kind: 'GPU' }] }, 'options: instance_group[0].kind: unknown value "GPU"'],
    [{ instance_group: [null] }, 'options: instance_group[0]: an object with its fields was expected, not null'],
    [{ instance_group: [{ count: 99 }] }, 'options: instance_group[0].count: 99 is above the limit'],
    [
      { dynamic_batching: { preferred_batch_size: [16] } },
      'options: dynamic_batching.preferred_batch_size[0]: 16 is larger',
    ],
    [{ parameters: [1] }, 'options: parameters: an object of names and values was expected, not a list'],
    [{ parameters: { 'subten.slo': 'auto' } }, 'options: parameters["subten.slo"].string_value: the value of'],
    [{ dynamic_batching: {}, sequence_batching: {} }, 'options: sequence_batching: cannot be set together'],
    [JSON.parse('{"__proto__": {"max_batch_size": 1}}'), 'options: __proto__: unknown field'],
    [{ parameters: JSON.parse('{"__proto__": "x"}') }, 'options: parameters.__proto__: "__proto__" is not allowed'],
    [{ name: 'other' }, 'options: name: the model is named "other"'],
  ])('%j gives %j', (overrides, message) => {
    const error = thrown(() => over(overrides as ConfigOverrides))
    expect(error.code).toBe('CONFIG_INVALID')
    expect(error.message).toContain(message)
    expect(error.details.line).toBeUndefined()
  })

  test('a file that the options make wrong is blamed where it is wrong', () => {
    const error = thrown(() => over({ max_batch_size: 2 }))
    expect(error.message).toContain(
      `${FILE}:5: dynamic_batching.preferred_batch_size[1]: 4 is larger than max_batch_size (2)`,
    )
  })

  test('work without a file', () => {
    const document = applyOverrides(emptyConfig(), { max_batch_size: 4, dynamic_batching: {} })
    expect(resolveConfig(document, { partial: true }).dynamic_batching?.preferred_batch_size).toEqual([4])
  })

  test('are told from other options by their names', () => {
    expect(isConfigField('dynamic_batching')).toBe(true)
    expect(isConfigField('memoryMb')).toBe(false)
    expect(isConfigField('constructor')).toBe(false)
  })
})

describe('settings that have no effect yet', () => {
  test('are listed with their field, line and weight', () => {
    const document = parseConfig(
      'sequence_batching { }\nresponse_cache { enable: true }\ninstance_group {\nrate_limiter { priority: 1 } }\nmodel_repository_agents {\nagents { name: "a" } }',
      FILE,
    )
    expect(unsupportedSettings(document)).toEqual([
      { field: 'sequence_batching', file: FILE, line: 1, severity: 'refuse' },
      { field: 'model_repository_agents', file: FILE, line: 5, severity: 'refuse' },
      { field: 'response_cache', file: FILE, line: 2, severity: 'warn' },
      { field: 'instance_group[0].rate_limiter', file: FILE, line: 4, severity: 'warn' },
    ])
  })

  test('are none in an ordinary configuration', () => {
    expect(unsupportedSettings(parseConfig(`${dynamic('')}\nresponse_cache { enable: false }`, FILE))).toEqual([])
  })
})

describe('schedulers other than dynamic batching', () => {
  test.each([
    [
      'sequence_batching { oldest {\npreferred_batch_size: 9 } }',
      4,
      'sequence_batching.oldest.preferred_batch_size[0]',
    ],
    [
      'sequence_batching { direct {\nminimum_slot_utilization: 1.5 } }',
      4,
      'sequence_batching.direct.minimum_slot_utilization',
    ],
    ['sequence_batching { }\nresponse_cache { enable: true }', 4, 'response_cache'],
    ['model_transaction_policy { decoupled: true }\nresponse_cache { enable: true }', 4, 'response_cache'],
    ['\nplatform: "ensemble"', 4, 'platform'],
    ['ensemble_scheduling { }\ninstance_group { }', 4, 'instance_group'],
  ])('%j is an error on line %i, at %s', (text, line, field) => {
    expect(thrown(() => resolve(BASE + text)).details).toEqual({ file: FILE, line, field })
  })
})
