import fc from 'fast-check'

/** Texts of config.pbtxt: sound ones, cut, repeated, nested, and with values at the ends of every scale. */
export function configTexts(seeds: readonly string[]): fc.Arbitrary<string> {
  const numbers = fc.constantFrom(
    '0',
    '-0',
    '-1',
    '2147483647',
    '2147483648',
    '4294967296',
    '9007199254740993',
    '18446744073709551615',
    '18446744073709551616',
    '1e400',
    '-1e400',
    'nan',
    '-inf',
    '0x7fffffffffffffff',
    '077',
    '1.5',
    `1${'0'.repeat(500)}`,
  )
  const pieces = fc.oneof(
    fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ':',
      ',',
      ';',
      '<',
      '>',
      '"',
      "'",
      '\\',
      '#',
      '\n',
      '-',
      '\0',
      '\uFEFF',
      '\uD800',
    ),
    fc.constantFrom(
      '\\x',
      '\\777',
      '\\u',
      '\\U0010FFFF',
      '\\',
      '"\\',
      '[type.googleapis.com/x]',
      '__proto__',
      'constructor',
    ),
    fc.constantFrom(
      'input',
      'output',
      'name',
      'dims',
      'dynamic_batching',
      'instance_group',
      'parameters',
      'key',
      'value',
    ),
    fc.constantFrom(
      'priority_levels',
      'max_batch_size',
      'ensemble_scheduling',
      'model_warmup',
      'version_policy',
      'count',
    ),
    numbers,
    fc.string({ unit: 'binary', maxLength: 8 }),
  )
  const edit = fc.record({
    kind: fc.constantFrom('insert', 'remove', 'number', 'double', 'nest', 'repeat', 'cut', 'splice'),
    at: fc.nat(),
    size: fc.nat({ max: 200 }),
    piece: pieces,
    number: numbers,
    times: fc.constantFrom(2, 10, 100, 2000),
    other: fc.constantFrom(...seeds),
  })
  return fc.tuple(fc.constantFrom(...seeds), fc.array(edit, { maxLength: 6 })).map(([seed, edits]) => {
    let text = seed
    for (const { kind, at, size, piece, number, times, other } of edits) {
      const start = at % (text.length + 1)
      const [head, tail] = [text.slice(0, start), text.slice(start)]
      const part = tail.slice(0, size)
      if (kind === 'insert') text = head + piece + tail
      else if (kind === 'remove') text = head + tail.slice(size % 12)
      else if (kind === 'number') text = head + tail.replace(/\d+/, number)
      else if (kind === 'double') text = head + part + tail
      else if (kind === 'nest') text = `${head}${'{ '.repeat(times)}${tail}`
      else if (kind === 'repeat') text = (head + part.repeat(times) + tail).slice(0, 1_200_000)
      else if (kind === 'cut') text = head
      else text = head + other.slice(at % (other.length + 1))
    }
    return text
  })
}

/** Bytes of a request body: a sound one with pieces changed. */
export function bodies(seeds: readonly Buffer[]): fc.Arbitrary<Buffer> {
  const pieces = fc
    .oneof(
      fc.constantFrom(
        '[',
        ']',
        '{',
        '}',
        ',',
        ':',
        '"',
        '\\u0000',
        '\\ud800',
        'null',
        'true',
        '1e999',
        '-0',
        '[[[[[[[[',
      ),
      fc.constantFrom(
        '"shape"',
        '"data"',
        '"datatype"',
        '"BYTES"',
        '"FP32"',
        '"parameters"',
        '"binary_data_size"',
        '"inputs"',
      ),
      fc.constantFrom('9007199254740993', '18446744073709551615', '-1', '4294967295', '0.5'),
    )
    .map((text) => Buffer.from(text))
  const edit = fc.record({
    at: fc.nat(),
    remove: fc.nat({ max: 12 }),
    insert: fc.oneof(
      pieces,
      fc.uint8Array({ maxLength: 8 }).map((bytes) => Buffer.from(bytes)),
    ),
  })
  return fc.tuple(fc.constantFrom(...seeds), fc.array(edit, { maxLength: 5 })).map(([seed, edits]) => {
    let body = seed
    for (const { at, remove, insert } of edits) {
      const start = at % (body.length + 1)
      body = Buffer.concat([body.subarray(0, start), insert, body.subarray(start + remove)])
    }
    return body
  })
}
