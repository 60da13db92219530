import { expect, it } from 'vitest'
import { load } from '../../src/load/load.js'
import type { Model } from '../../src/runtime/types.js'
import { rejection } from '../unit/repository/thrown.js'
import { closedAfter, floats } from '../unit/runtime/loaded.js'
import { addSub, firstOf, only, triton, withTriton } from './triton.js'

withTriton('add_sub_py', ['add_sub_py'], () => {
  it('gives sums and differences, one request and many at once', async () => {
    const model = await triton('add_sub_py')
    expect(model).toMatchObject({ engine: 'triton', decoupled: false })
    expect(model.metadata['triton core']).toMatch(/^2\./)
    const { OUTPUT0, OUTPUT1 } = await model.infer(addSub(5, 3))
    expect([floats(OUTPUT0)[0], floats(OUTPUT1)[3]]).toEqual([8, 2])
    const all = await model.inferMany(Array.from({ length: 200 }, (_, i) => addSub(i, 1)))
    expect(all.map((each) => firstOf(each, 'OUTPUT0'))).toEqual(Array.from({ length: 200 }, (_, i) => i + 1))
    expect(model.stats().requests).toMatchObject({ submitted: 201, succeeded: 201 })
  })

  it('has the stages of Triton beside ours', async () => {
    const model = await triton('add_sub_py')
    for (let i = 0; i < 20; i++) await model.infer(addSub(1, 2))
    const { stages } = model.stats()
    expect(Object.keys(stages)).toEqual(expect.arrayContaining(['compute', 'tritonQueue', 'tritonCompute']))
    expect(stages.tritonCompute?.count).toBeGreaterThan(0)
  })

  it('refuses wrong tensors as every engine does', async () => {
    const model = await triton('add_sub_py')
    for (const inputs of [{}, { INPUT0: new Float32Array(4) }, { ...addSub(1, 2), X: new Float32Array(1) }]) {
      expect(await rejection(model.infer(inputs))).toMatchObject({ code: 'INVALID_INPUT' })
    }
    expect(await rejection(model.infer({ ...addSub(1, 2), INPUT0: new Int32Array(4) as never }))).toMatchObject({
      code: 'INVALID_INPUT',
    })
    expect(() => model.inferSync(addSub(1, 2))).toThrow(expect.objectContaining({ code: 'NOT_SUPPORTED' }))
  })

  it('runs on a claimed slot', async () => {
    const model = await triton('add_sub_py')
    using slot = await model.claim(model.maxBatchSize > 0 ? { rows: 1 } : {})
    floats(slot.inputs.INPUT0).fill(4)
    floats(slot.inputs.INPUT1).fill(1)
    expect(firstOf(await slot.submit(), 'OUTPUT0')).toBe(5)
  })

  it('gives the same with either batcher', async () => {
    for (const batching of ['subten', 'triton'] as const) {
      const model = await triton('add_sub_py', { triton: { batching } })
      const all = await model.inferMany(Array.from({ length: 50 }, (_, i) => addSub(i, i)))
      expect(all.map((each) => firstOf(each, 'OUTPUT0'))).toEqual(Array.from({ length: 50 }, (_, i) => 2 * i))
      await model.close()
    }
  })

  it('honours signals and deadlines', async () => {
    const model = await triton('add_sub_py')
    expect(await model.infer(addSub(1, 2), { signal: AbortSignal.abort('no') }).catch((e: unknown) => e)).toBe('no')
    const controller = new AbortController()
    const running = model.infer(addSub(1, 2), { signal: controller.signal })
    controller.abort('stop')
    expect(await running.catch((error: unknown) => error)).toBe('stop')
    expect(await rejection(model.infer(addSub(1, 2), { deadlineMs: 0 }))).toMatchObject({ code: 'DEADLINE_EXCEEDED' })
    expect(firstOf(await model.infer(addSub(1, 2), { deadlineMs: 5000, priority: 1, id: 'a' }), 'OUTPUT0')).toBe(3)
  })
})

withTriton('ONNX models', ['digits_triton'], () => {
  it('give what the engine onnxruntime gives, from our backend', async () => {
    const own = closedAfter((await load('models/digits')) as Model)
    const [input, output] = [own.inputs[0]?.name ?? '', own.outputs[0]?.name ?? '']
    const inTriton = [
      await triton('digits_triton'),
      closedAfter((await load('models/digits', { engine: 'triton' })) as Model),
    ]
    for (let seed = 0; seed < 20; seed++) {
      const image = Float32Array.from({ length: 64 }, (_, i) => (i * (seed + 3)) % 17)
      const expected = floats((await own.infer({ [input]: image }))[output])
      for (const model of inTriton) expect(floats((await model.infer({ [input]: image }))[output])).toEqual(expected)
    }
  })

  it('take several rows and batch them', async () => {
    const model = await triton('digits_triton')
    const name = model.inputs[0]?.name ?? ''
    const rows = await model.inferMany(Array.from({ length: 64 }, () => ({ [name]: new Float32Array(64) })))
    expect(rows).toHaveLength(64)
    const many = { [name]: { data: new Float32Array(64 * 4), shape: [4, ...(model.inputs[0]?.shape.slice(1) ?? [])] } }
    expect((await model.infer(many))[model.outputs[0]?.name ?? '']?.shape[0]).toBe(4)
  })
})

withTriton('digits_ensemble', ['digits_ensemble'], () => {
  it('answers, batched by the models inside', async () => {
    const model = await triton('digits_ensemble')
    const all = await Promise.all(Array.from({ length: 20 }, () => model.infer(only(model, 0))))
    expect(new Set(all.map((each) => JSON.stringify(each))).size).toBe(1)
  })
})

withTriton('accumulator', ['accumulator'], () => {
  it('keeps the state of each sequence apart, by numbers and by names', async () => {
    const model = await triton('accumulator')
    const output = model.outputs[0]?.name ?? ''
    const run = async (id: number | bigint | string): Promise<number[]> => {
      const seen: number[] = []
      for (let i = 1; i <= 5; i++) {
        const sequence = { id, start: i === 1, end: i === 5 }
        seen.push(firstOf(await model.infer(only(model, i), { sequence }), output))
      }
      return seen
    }
    const all = await Promise.all([run(1), run(2n), run(3), run(2n ** 40n)])
    for (const seen of all) expect(seen).toEqual([1, 3, 6, 10, 15])
  })
})
