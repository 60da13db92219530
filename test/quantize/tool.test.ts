import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { runTool } from '../../src/quantize/run-tool.js'
import type { ToolRequest, ToolResult } from '../../src/quantize/tool-types.js'
import type { ToolsPython } from '../../src/quantize/tools-python.js'
import { onnxFacts, python, request, runPython, temporaryFolder, withTools } from './tools.js'

withTools('the quantiser', () => {
  const folder = temporaryFolder()
  const notes: string[] = []

  beforeAll(() => {
    runPython('test/quantize/graphs.py', folder)
  })

  const made = (model: string, rows: Record<string, string>, more: Partial<ToolRequest> = {}): Promise<ToolResult> => {
    notes.length = 0
    const onEvent = (event: { event: string; text?: string }): void => {
      if (event.event === 'note') notes.push(event.text as string)
    }
    return runTool(python as ToolsPython, request(folder, model, rows, more), { onEvent })
  }
  const pictures = { x: 'pictures' }
  const facts = () => onnxFacts(join(folder, 'made.onnx'))

  it('folds normalisations, names nodes without names, and quantises depthwise convolutions and residual sums', async () => {
    const result = await made('network', pictures, { analysis: { rows: 20, layers: 2, seconds: 20 } })
    expect(result.quantised).toEqual(expect.arrayContaining(['Conv_0', 'depthwise', 'Add_4', 'Gemm_8']))
    expect(facts().ops).not.toHaveProperty('BatchNormalization')
    // Input, both convolutions, sum, pool and what the dense layer takes; its results are scores and stay float.
    expect(facts().ops).toMatchObject({ QuantizeLinear: 6, Gemm: 1 })
    const layer = result.layers?.find(({ name }) => name === 'depthwise')
    expect(layer?.sqnrDb).toBeGreaterThan(20)
    expect(layer?.weightSqnrDb).toBeGreaterThan(25)
    expect(result.layers?.filter(({ alone }) => alone !== undefined)).toHaveLength(2)
    // One layer alone does less harm than all of them.
    for (const { alone } of result.layers ?? []) {
      if (alone) expect(alone.sqnrDb ?? 200).toBeGreaterThan(result.outputs?.sqnrDb as number)
    }
    expect(result.ranges).toHaveProperty('x')
  })

  it.each(['minmax', 'entropy', 'percentile'] as const)('chooses ranges by %s', async (method) => {
    const result = await made('network', pictures, { method, percentile: 99 })
    const [low, high] = (result.ranges as Record<string, [number, number]>).x as [number, number]
    if (method === 'minmax') expect(high - low).toBeGreaterThan(6)
    // The middle 99 % of normal numbers lie within 2.6 of 0.
    if (method === 'percentile') expect(high - low).toBeCloseTo(2 * 2.576, 0)
    if (method === 'entropy') expect(high).toBeGreaterThan(2)
    expect(facts().ops.QuantizeLinear).toBeGreaterThan(3)
  })

  it("counts, and chooses by entropy, as ONNX Runtime's own collector does", () => {
    expect(runPython('test/quantize/collector.py')).toBe('alike\n')
  })

  it('excludes by name and by glob, and knows what was folded away', async () => {
    const result = await made('network', pictures, { exclude: ['depth*'] })
    expect(result.excluded).toEqual(['depthwise'])
    expect(result.float).toMatchObject({ Conv: 1 })
    await expect(made('network', pictures, { exclude: ['norm'] })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('part of another one'),
    })
  })

  it('converts an old opset, with Upsample', async () => {
    const result = await made('opset_9', pictures)
    expect(result.opset).toEqual({ before: 9, after: 13 })
    expect(notes).toEqual([expect.stringContaining('opset 9 to 13')])
    expect(facts().opset).toBe(13)
  })

  it('takes several inputs with dynamic dimensions, and leaves Softmax and normalisations float', async () => {
    const result = await made('attention', { a: 'a', b: 'b' })
    expect(result.float).toEqual({ Softmax: 1, LayerNormalization: 1 })
    const dynamic = await made('attention', { a: 'a', b: 'b' }, { precision: 'int8-dynamic' })
    expect(dynamic.quantised).toEqual(['query', 'key'])
    expect(dynamic.outputs?.sqnrDb).toBeGreaterThan(15)
  })

  it('has zero points of 0 for TensorRT also where activations are never negative', async () => {
    await made('network', pictures, { target: 'tensorrt', perChannel: false })
    expect(facts()).toMatchObject({ activations: ['INT8'], zeroPointsAreZero: true })
    expect(facts().weights.every(({ scales, float }) => scales === 1 && float)).toBe(true)
  })

  it('takes models with a fixed batch and with none', async () => {
    expect(await made('fixed_batch', pictures)).toMatchObject({ batch: 4 })
    expect(await made('no_batch', { x: 'tables' })).toMatchObject({ batch: 1, quantised: ['product'] })
  })

  it('has room for infinities that are meant, once their node is excluded', async () => {
    const rows = { x: 'fours' }
    for (const method of ['minmax', 'percentile', 'entropy'] as const) {
      const result = await made('infinite_output', rows, { method, exclude: ['sum'] })
      expect(result.quantised).toEqual(['product'])
    }
    await expect(made('infinite_output', rows)).rejects.toMatchObject({
      code: 'MODEL_INVALID',
      message: expect.stringContaining('the node "sum"'),
      remedy: expect.stringContaining("--exclude 'sum'"),
    })
  })

  it('reads tensors that a model keeps beside it', async () => {
    const result = await made('external', pictures)
    expect(result.quantised).toContain('depthwise')
  })

  describe('refuses', () => {
    it.each<[string, string, Record<string, string>, Partial<ToolRequest>, string, RegExp]>([
      ['a file that is cut off', 'cut', pictures, {}, 'MODEL_INVALID', /cut off/],
      ['an empty file', 'empty', pictures, {}, 'MODEL_INVALID', /no graph/],
      ['noise', 'noise', pictures, {}, 'MODEL_INVALID', /no ONNX file/],
      ['tensors that are lost', 'lost', pictures, {}, 'MODEL_INVALID', /another file/],
      [
        'a shape that does not fit',
        'network',
        { x: 'wide' },
        {},
        'INVALID_INPUT',
        /\[20, 3, 16, 17\].*\[-1, 3, 16, 16\]/,
      ],
      ['a datatype that does not fit', 'network', { x: 'doubles' }, {}, 'INVALID_INPUT', /"x" is float64.*float32/],
      ['no rows', 'network', { x: 'none' }, {}, 'INVALID_INPUT', /empty/],
      ['NaN', 'network', { x: 'not_a_number' }, {}, 'INVALID_INPUT', /"x" holds NaN \(row 7\)/],
      ['an input without data', 'attention', { a: 'a' }, {}, 'INVALID_INPUT', /no input "b"/],
      ['a graph that computes infinities', 'logarithm', { x: 'zeros' }, {}, 'MODEL_INVALID', /tensor "l"/],
      ['nothing to quantise', 'exponential', { x: 'fours' }, {}, 'NOT_SUPPORTED', /operators are Exp/],
      [
        'nothing to gain by dynamic INT8',
        'exponential',
        { x: 'fours' },
        { precision: 'int8-dynamic' },
        'NOT_SUPPORTED',
        /nothing to gain/,
      ],
    ])('%s', async (_, model, rows, more, code, message) => {
      await expect(made(model, rows, more)).rejects.toMatchObject({ code, message: expect.stringMatching(message) })
    })
  })
})
