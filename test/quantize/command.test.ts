import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, it } from 'vitest'
import { load } from '../../src/load/load.js'
import { parseConfig } from '../../src/repository/config-text.js'
import { digitsData, onnxFacts, repositoryWith, runPython, subten, temporaryFolder, withTools } from './tools.js'

withTools('subten quantize', () => {
  const folder = temporaryFolder()
  const models = repositoryWith(folder, 'digits')
  const digits = join(models, 'digits')
  let data: string

  beforeAll(async () => {
    data = await digitsData(folder)
  })

  it('makes a variant that answers as the model does, with its config, its labels and what it was made of', async () => {
    const ran = await subten(
      'quantize',
      digits,
      '--calibration',
      data,
      '--data',
      data,
      '--rows',
      '200',
      '--layers',
      '2',
    )
    expect(ran.err).toBe('')
    expect(ran.code).toBe(0)
    expect(ran.out).toMatch(/^digits_int8: digits in static INT8, for CPUs .* per channel, weights in 7 bits/)
    expect(ran.out).toMatch(/top-1 +99\.\d\d %/)
    expect(ran.out).toMatch(/conv3 +Conv +\d/)

    const path = join(models, 'digits_int8')
    const text = readFileSync(join(path, 'config.pbtxt'), 'utf8')
    expect(text.split('\n')[0]).toBe(readFileSync(join(digits, 'config.pbtxt'), 'utf8').split('\n')[0])
    const parameters = parseConfig(text, 'config.pbtxt').fields.parameters ?? {}
    expect(JSON.parse(parameters['subten.quantization']?.string_value ?? '')).toEqual({
      from: 'digits',
      precision: 'INT8',
      method: 'percentile',
      percentile: 99.99,
      activations: 'U8',
      perChannel: true,
      target: 'cpu',
      excluded: [],
      calibration: { rows: 200, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
    })
    const accuracy = JSON.parse(parameters['subten.accuracy']?.string_value ?? '')
    expect(accuracy).toMatchObject({ n: 360, data: 'digits.npz' })
    expect(accuracy.low).toBeLessThan(accuracy.top1)
    expect(accuracy.top1).toBeGreaterThan(0.98)

    const model = await load(path)
    expect(model.name).toBe('digits_int8')
    expect(model.labels('probabilities')).toHaveLength(10)
    await model.close()
    const report = JSON.parse(readFileSync(join(path, 'quantization.json'), 'utf8'))
    expect(report).toMatchObject({
      from: 'digits',
      calibration: { path: 'digits.npz' },
      tool: { calibrationRows: 200 },
    })
    expect(JSON.stringify(report)).not.toContain(folder)
    expect(report.tool.layers.map(({ name }: { name: string }) => name)).toEqual(['conv1', 'conv2', 'conv3', 'dense'])
    expect(report.tool.layers.filter((layer: object) => 'without' in layer)).toHaveLength(2)
    expect(readdirSync(models).filter((name) => name.startsWith('.'))).toEqual([])
  })

  it('writes U8 activations and S8 weights of seven bits, a scale a channel, and leaves Softmax float', () => {
    const facts = onnxFacts(join(models, 'digits_int8/1/model.onnx'))
    expect(facts.activations).toEqual(['INT8', 'UINT8'])
    expect(facts.weights.map(({ type }) => type)).toEqual(['INT8', 'INT8', 'INT8', 'INT8'])
    for (const { scales, largest } of facts.weights) {
      expect(scales).toBeGreaterThan(1)
      expect(largest).toBeLessThanOrEqual(64)
    }
    expect(facts).toMatchObject({ inputs: ['FLOAT'], domains: [''], opset: 17, ir: 8 })
  })

  it('finds the layer that hurts, says what its absence gives, and says aloud what is lost', async () => {
    runPython('test/quantize/graphs.py', folder)
    const lopsided = join(folder, 'lopsided.onnx')
    const args = [
      '--calibration',
      data,
      '--data',
      data,
      '--method',
      'minmax',
      '--no-per-channel',
      '--out',
      join(folder, 'out'),
    ]
    const hurt = await subten('quantize', lopsided, ...args, '--layers', '4')
    expect(hurt.out).toMatch(/INT8 LOSES \d\d\.\d\d points of top-1, more than the 1 that may be lost/)
    expect(hurt.out).toMatch(/Try --exclude 'conv2': 9\d\.\d % would have the same top/)
    const { tool } = JSON.parse(readFileSync(join(folder, 'out/lopsided_int8/quantization.json'), 'utf8'))
    expect(tool.suggested.exclude).toEqual(['conv2'])
    const layers = Object.fromEntries(tool.layers.map((layer: { name: string }) => [layer.name, layer]))
    expect(layers.conv2.alone.sqnrDb).toBeLessThan(layers.dense.alone.sqnrDb - 20)
    expect(layers.conv2.without.sqnrDb).toBeGreaterThan(layers.dense.without.sqnrDb + 5)

    const kept = await subten('quantize', lopsided, ...args, '--force', '--json', '--layers', '0', '--exclude', 'conv2')
    expect(JSON.parse(kept.out).onData.top1.after.value).toBeGreaterThan(0.9)
  })

  it('does not overwrite without --force', async () => {
    const before = readFileSync(join(models, 'digits_int8/config.pbtxt'), 'utf8')
    const refused = await subten('quantize', digits, '--calibration', data)
    expect(refused).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^CONFIG_INVALID: .*digits_int8.*\n.*--force/),
    })
    expect(readFileSync(join(models, 'digits_int8/config.pbtxt'), 'utf8')).toBe(before)
    const args = ['--rows', '32', '--layers', '0', '--force', '--json', '--method', 'minmax', '--no-per-channel']
    const forced = await subten('quantize', digits, '--calibration', data, ...args, '--no-reduce-range')
    expect(JSON.parse(forced.out)).toMatchObject({ name: 'digits_int8', method: 'minmax', perChannel: false })
    const facts = onnxFacts(join(models, 'digits_int8/1/model.onnx'))
    expect(facts.weights.every(({ scales }) => scales === 1)).toBe(true)
    expect(Math.max(...facts.weights.map(({ largest }) => largest))).toBe(127)
  })

  it('for TensorRT has symmetric S8 only, zero points 0, float bias', async () => {
    const args = [
      '--target',
      'tensorrt',
      '--rows',
      '32',
      '--layers',
      '0',
      '--out',
      join(folder, 'elsewhere'),
      '--name',
      'trt',
    ]
    const ran = await subten('quantize', digits, '--calibration', data, ...args)
    expect(ran).toMatchObject({ code: 0, err: '' })
    expect(ran.out).toContain('TensorRT runs it was not measured')
    const facts = onnxFacts(join(folder, 'elsewhere/trt/1/model.onnx'))
    expect(facts).toMatchObject({ activations: ['INT8'], zeroPointsAreZero: true, domains: [''] })
    expect(facts.weightTypes).not.toContain('INT32')
    expect(facts.weights.filter(({ float }) => float)).toHaveLength(4)
  })

  it('makes dynamic INT8 and FP16 without calibration, and says what FP16 is for', async () => {
    const dynamic = await subten('quantize', digits, '--precision', 'int8-dynamic', '--json')
    expect(JSON.parse(dynamic.out)).toMatchObject({ name: 'digits_int8_dynamic', tool: { quantised: ['dense'] } })
    const half = await subten('quantize', digits, '--precision', 'fp16', '--data', data)
    expect(half.out).toContain('CPU kernels gain nothing by FP16')
    const facts = onnxFacts(join(models, 'digits_fp16/1/model.onnx'))
    expect(facts.inputs).toEqual(['FLOAT'])
    expect(facts.weightTypes).toContain('FLOAT16')
  })

  it.each<[string, string[], RegExp]>([
    [
      'an unknown node',
      ['--exclude', 'conv9'],
      /^CONFIG_INVALID: --exclude: the model has no node "conv9"; near are "conv/,
    ],
    ['nothing left to quantise', ['--exclude', '*'], /^NOT_SUPPORTED: there is nothing to quantise/],
    ['a name that cannot be one', ['--name', 'a/b'], /^CONFIG_INVALID: "a\/b" cannot be the name/],
    ['its own name', ['--name', 'digits', '--force'], /^CONFIG_INVALID: .* is the model itself/],
  ])('refuses %s and leaves nothing behind', async (_, args, message) => {
    const before = readdirSync(models)
    const ran = await subten('quantize', digits, '--calibration', data, '--rows', '16', '--name', 'other', ...args)
    expect(ran).toMatchObject({ code: 1, out: '', err: expect.stringMatching(message) })
    expect(ran.err).not.toContain('Traceback')
    expect(readdirSync(models)).toEqual(before)
  })

  it('refuses a model that is quantised already', async () => {
    const ran = await subten('quantize', join(models, 'digits_int8'), '--calibration', data)
    expect(ran).toMatchObject({ code: 1, err: expect.stringMatching(/^NOT_SUPPORTED: the model is quantised already/) })
  })

  it('names the row with a NaN, and the shape that was wanted', async () => {
    const bad = await digitsData(folder, (pixels) => {
      pixels[3 * 64 + 5] = Number.NaN
    })
    const ran = await subten('quantize', digits, '--calibration', bad, '--name', 'other')
    expect(ran.err).toMatch(/^INVALID_INPUT: calibration input "image" holds NaN \(row 3\)/)
    expect(existsSync(join(models, 'other'))).toBe(false)
  })

  it('quantises an .onnx file without a config', async () => {
    const file = join(digits, '1/model.onnx')
    const out = join(folder, 'lone')
    const ran = await subten('quantize', file, '--calibration', data, '--rows', '16', '--layers', '0', '--out', out)
    expect(ran).toMatchObject({ code: 0, err: '' })
    const model = await load(join(out, 'model_int8'))
    expect(model.inputs).toMatchObject([{ name: 'image', shape: [-1, 1, 8, 8] }])
    await model.close()
  })

  it('asks for calibration where it needs it', async () => {
    const ran = await subten('quantize', digits)
    expect(ran).toMatchObject({ code: 2, err: expect.stringContaining('give --calibration') })
  })
})
