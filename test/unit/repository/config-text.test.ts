import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { formatConfig, parseConfig, readConfigFile } from '../../../src/repository/config-text.js'
import { rejection, thrown } from './thrown.js'

const sample = (name: string): string =>
  readFileSync(new URL(`../../data/config/${name}.pbtxt`, import.meta.url), 'utf8')
const FILE = 'models/x/config.pbtxt'
const parse = (text: string) => parseConfig(text, FILE)

describe('reading config.pbtxt', () => {
  test.each(['resnet50', 'priorities', 'speech', 'pipeline', 'accelerated', 'echo'])(
    'the sample %s is read, and reads the same after it is written again',
    (name) => {
      const { fields } = parse(sample(name))
      expect(parse(formatConfig(fields)).fields).toEqual(fields)
    },
  )

  test('messages, lists, maps, enumerations and comments arrive as plain values', () => {
    const { fields } = parse(sample('resnet50'))
    expect(fields.input).toEqual([
      { name: 'pixels', data_type: 'TYPE_FP32', format: 'FORMAT_NCHW', dims: [3, 224, 224] },
    ])
    expect(fields.dynamic_batching?.preferred_batch_size).toEqual([8, 16])
    expect(fields.parameters?.['subten.weight']).toEqual({ string_value: '2' })
    expect(fields.model_warmup?.[0]?.inputs?.pixels?.random_data).toBe(true)
    expect(fields.optimization?.input_pinned_memory?.enable).toBe(false)
  })

  test('escaped bytes that are no UTF-8 are refused with the line of their string', () => {
    const error = thrown(() => parse('name: "a\\303\\251"\n\nplatform: "\\777x"\n'))
    expect(error).toMatchObject({ code: 'CONFIG_INVALID', details: { file: FILE, line: 3 } })
    expect(parse('name: "\\303\\251"').fields.name).toBe('\u00e9')
  })

  test('separators, angle brackets, one value for a list, hexadecimal and octal numbers are taken', () => {
    const { fields } = parse(sample('priorities'))
    expect(fields.input?.map((io) => io.dims)).toEqual([[-1], [-1]])
    expect(fields.output?.[0]?.dims).toEqual([2])
    expect(fields.dynamic_batching?.default_queue_policy?.max_queue_size).toBe(64)
    expect(fields.dynamic_batching?.priority_queue_policy?.['1']?.default_timeout_microseconds).toBe(8)
  })

  test('strings next to each other are joined and escapes resolved', () => {
    expect(parse(`name: "a" 'b'\n"\\x63\\144\\n\\u00e9"`).fields.name).toBe('abcd\né')
  })

  test('an enumeration given by number arrives by name', () => {
    expect(parse('input { name: "a" data_type: 11 }').fields.input?.[0]?.data_type).toBe('TYPE_FP32')
  })

  test('a byte order mark and CRLF line ends are taken, and lines still count', () => {
    const document = parse('\uFEFFname: "a"\r\nmax_batch_size: 4\r\n')
    expect(document.fields).toEqual({ name: 'a', max_batch_size: 4 })
    expect(document.origin(['max_batch_size'])).toEqual({ file: FILE, line: 2 })
  })

  test('an empty file is an empty configuration', () => {
    expect(parse(' # nothing\n').fields).toEqual({})
  })

  test('each setting knows its line, and what is not written the line of what is around it', () => {
    const document = parse(sample('resnet50'))
    expect(document.origin(['input', 0, 'dims', 1]).line).toBe(11)
    expect(document.origin(['parameters', 'subten.weight', 'string_value']).line).toBe(46)
    expect(document.origin(['dynamic_batching', 'priority_levels']).line).toBe(25)
    expect(document.origin(['ensemble_scheduling']).line).toBe(1)
  })

  test('keys that prototypes have are plain keys', () => {
    const parameters = parse(
      'parameters { key: "constructor" value { string_value: "1" } } parameters { key: "toString" value {} }',
    ).fields.parameters
    expect(Object.keys(parameters ?? {})).toEqual(['constructor', 'toString'])
    expect(Object.getPrototypeOf(parameters)).toBeNull()
  })
})

describe('a config.pbtxt with a mistake', () => {
  test.each([
    [
      'dynamic_batching {\n  max_queue_dely_microseconds: 5\n}',
      `${FILE}:2: dynamic_batching.max_queue_dely_microseconds: unknown field; did you mean "max_queue_delay_microseconds"?`,
    ],
    ['\n\nbatch_size: 4', `${FILE}:3: batch_size: unknown field`],
    ['max_batch_size: "4"', `${FILE}:1: max_batch_size: a whole number was expected here, not the string "4"`],
    ['max_batch_size: 4.5', `${FILE}:1: max_batch_size: a whole number was expected here, not "4.5"`],
    ['max_batch_size: 3000000000', `${FILE}:1: max_batch_size: 3000000000 does not fit int32`],
    ['max_batch_size {}', `${FILE}:1: max_batch_size: ":" and a value were expected here, not "{"`],
    ['max_batch_size: [ 1 ]', `${FILE}:1: max_batch_size: takes one value, not a list`],
    ['max_batch_size: 1\nmax_batch_size: 1', `${FILE}:2: max_batch_size: set a second time; line 1 has it already`],
    ['name: resnet', `${FILE}:1: name: a quoted string was expected here, not "resnet"`],
    ['name: "resnet\n"', `${FILE}:1: name: this string is not closed on its line`],
    [
      'input {\n name: "x"\n data_type: TYPE_FLOAT32\n}',
      `${FILE}:3: input[0].data_type: unknown value "TYPE_FLOAT32"; it is one of TYPE_INVALID, `,
    ],
    [
      'input { data_type: TYPE_FP23 }',
      `${FILE}:1: input[0].data_type: unknown value "TYPE_FP23"; did you mean "TYPE_FP32"?`,
    ],
    ['input { data_type: 99 }', `${FILE}:1: input[0].data_type: one of TYPE_INVALID, `],
    ['input { data_type: toString }', `${FILE}:1: input[0].data_type: unknown value "toString"`],
    ['input [ {}, {\n dimz: 1 } ]', `${FILE}:2: input[1].dimz: unknown field; did you mean "dims"?`],
    ['input { dims: [ 1, ] }', `${FILE}:1: input[0].dims[1]: a whole number was expected here, not "]"`],
    ['input {', `${FILE}:1: input[0]: a field name or "}" was expected here, not the end of the file`],
    ['input { optional: yes }', `${FILE}:1: input[0].optional: true or false was expected here, not "yes"`],
    ['toString: 1', `${FILE}:1: toString: unknown field`],
    ['}', `${FILE}:1: a field name was expected here, not "}"`],
    ['name: "a" ;; runtime: ""', `${FILE}:1: unexpected ";"`],
    ['[some.extension]: 1', `${FILE}:1: extensions and Any messages`],
    ['max_batch_size: 1x', `${FILE}:1: max_batch_size: "1x" is not a number`],
    ['name: "\\q"', `${FILE}:1: illegal string escape '\\q'`],
    ['@', `${FILE}:1: unexpected character "@"`],
    [
      'dynamic_batching {}\nsequence_batching {}',
      `${FILE}:2: sequence_batching: cannot be set together with dynamic_batching (line 1)`,
    ],
    ['version_policy { all {} latest {} }', `${FILE}:1: version_policy.latest: cannot be set together with all`],
    [
      'dynamic_batching { default_queue_policy { max_queue_size: -1 } }',
      `${FILE}:1: dynamic_batching.default_queue_policy.max_queue_size: cannot be negative (-1)`,
    ],
    ['input { dims: 9007199254740993 }', `${FILE}:1: input[0].dims[0]: 9007199254740993 is too large`],
    ['parameters { key: "a" val { } }', `${FILE}:1: parameters.val: unknown field; did you mean "value"?`],
    [
      'parameters { key: "a.b"\nvalue { string_value: 1 } }',
      `${FILE}:2: parameters["a.b"].string_value: a quoted string was expected here, not "1"`,
    ],
    ['metric_tags { key: "a" key: "b" }', `${FILE}:1: metric_tags: "key" is set a second time`],
  ])('%j gives %j', (text, message) => {
    const error = thrown(() => parse(text))
    expect(error.code).toBe('CONFIG_INVALID')
    expect(error.message).toContain(message)
    expect(error.details.file).toBe(FILE)
  })

  test('the error carries file, line and field for programs', () => {
    expect(thrown(() => parse('name: "x"\ninput { nam: "a" }')).details).toEqual({
      file: FILE,
      line: 2,
      field: 'input[0].nam',
    })
  })

  test.each(['"__proto__"', '"\\x5f_proto__"', "'__pro' 'to__'"])('the map key %s is refused', (key) => {
    const error = thrown(() => parse(`parameters { key: ${key} value { string_value: "1" } }`))
    expect(error.code).toBe('CONFIG_INVALID')
    expect(({} as Record<string, unknown>).string_value).toBeUndefined()
  })

  test('more than 1 MiB is refused before it is read', async () => {
    expect(thrown(() => parse(`#${' '.repeat(1024 * 1024)}`)).message).toContain('larger than 1048576 bytes')
    const file = join(mkdtempSync(join(tmpdir(), 'subten-config-')), 'config.pbtxt')
    writeFileSync(file, ' '.repeat(1024 * 1024 + 1))
    expect((await rejection(readConfigFile(file))).code).toBe('CONFIG_INVALID')
  })

  test('a file that is not UTF-8 is refused, and one that is not there is none', async () => {
    const file = join(mkdtempSync(join(tmpdir(), 'subten-config-')), 'config.pbtxt')
    expect(await readConfigFile(file)).toBeUndefined()
    writeFileSync(file, Buffer.from([0x6e, 0xff, 0xfe]))
    expect((await rejection(readConfigFile(file))).message).toContain('not UTF-8')
  })

  test('deep nesting, long numbers and long strings end quickly with an error', () => {
    const started = performance.now()
    for (const text of [
      'input {'.repeat(100_000),
      'sequence_batching { state { initial_state '.repeat(20_000),
      `max_batch_size: ${'9'.repeat(1_000_000)}`,
      `input { dims: [${'1,'.repeat(400_000)}`,
      `max_batch_size: ${'-'.repeat(1_000_000)}`,
      `${'a'.repeat(1_000_000)}: 1`,
      `name: "${'\\'.repeat(1_000_000)}`,
    ]) {
      expect(thrown(() => parse(text)).code).toBe('CONFIG_INVALID')
    }
    expect(performance.now() - started).toBeLessThan(5000)
  })
})
