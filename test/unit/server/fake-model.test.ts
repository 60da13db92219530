import { describe, expect, it } from 'vitest'
import type { Tensor } from '../../../src/runtime/tensor.js'
import { fakeModel } from '../../../src/testing.js'

const x = { name: 'x', datatype: 'FP32' as const, shape: [-1, 2] }
const y = { name: 'y', datatype: 'FP32' as const, shape: [-1, 2] }
const doubled = () =>
  fakeModel(
    { name: 'm', maxBatchSize: 4, inputs: [x], outputs: [y], labels: { y: ['no', 'yes'] } },
    { outputs: (given) => ({ y: given.x?.toFloat32().map((v) => v * 2) ?? [] }) },
  )

describe('fakeModel', () => {
  it('answers from a function of its inputs, or with what it was given, or with zeros', async () => {
    const { y: out } = await doubled().infer({ x: new Float32Array([1, 2]) })
    expect(out).toMatchObject({ datatype: 'FP32', shape: [1, 2], data: new Float32Array([2, 4]) })
    const fixed = fakeModel({ inputs: [], outputs: [y] }, { outputs: { y: [3, 4] } })
    expect((await fixed.infer({})).y?.data).toEqual(new Float32Array([3, 4]))
    expect((await fakeModel({ inputs: [], outputs: [y] }).infer({})).y?.data).toEqual(new Float32Array(2))
    expect(doubled().labels('y')).toEqual(['no', 'yes'])
  })

  it('checks inputs as a loaded model does', async () => {
    const model = doubled()
    const code = (inputs: object) =>
      model.infer(inputs as never).then(
        () => 'ok',
        (error) => error.code,
      )
    expect(await code({})).toBe('INVALID_INPUT')
    expect(await code({ x: new Float32Array(2), z: new Float32Array(2) })).toBe('INVALID_INPUT')
    expect(await code({ x: new Float32Array(3) })).toBe('INVALID_INPUT')
    expect(await code({ x: new Int32Array(2) })).toBe('INVALID_INPUT')
    expect(await code({ x: { data: new Float32Array(10), shape: [5, 2] } })).toBe('BATCH_TOO_LARGE')
    expect(await code({ x: { data: new Float32Array(8), shape: [4, 2] } })).toBe('ok')
  })

  it('takes its time, fails every n-th request, and counts', async () => {
    const model = fakeModel({ inputs: [], outputs: [y] }, { latencyMs: 20, failEvery: 2 })
    const started = performance.now()
    const ends = await model.inferMany([{}, {}, {}], { onError: 'settle' })
    expect(performance.now() - started).toBeGreaterThan(15)
    expect(ends.map((end) => end.ok)).toEqual([true, false, true])
    const before = model.stats()
    expect(before.requests).toMatchObject({ submitted: 3, succeeded: 2, failed: 1, inFlight: 0 })
    expect(before.stages.total.p50).toBeGreaterThan(15_000)
    await model.infer({}).catch(() => {})
    expect(model.stats().diff(before).requests).toMatchObject({ submitted: 1, failed: 1 })
    model.resetStats()
    expect(model.stats().requests.submitted).toBe(0)
  })

  it('honours the signal and the deadline', async () => {
    const model = fakeModel({ inputs: [], outputs: [y] }, { latencyMs: 1000 })
    const reason = new Error('enough')
    const controller = new AbortController()
    const aborted = model.infer({}, { signal: controller.signal })
    controller.abort(reason)
    await expect(aborted).rejects.toBe(reason)
    await expect(model.infer({}, { signal: controller.signal })).rejects.toBe(reason)
    await expect(model.infer({}, { deadlineMs: 5 })).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' })
    expect(model.stats().requests).toMatchObject({ cancelled: 1, expired: 1 })
  })

  it('lends slots, traces, and takes nothing after close()', async () => {
    const model = doubled()
    const slot = await model.claim()
    const view = slot.inputs.x as Tensor<'FP32'>
    view.data.set([5, 6])
    expect((await slot.submit()).y?.data).toEqual(new Float32Array([10, 12]))
    slot.release()
    await expect(slot.submit()).rejects.toMatchObject({ code: 'SLOT_RELEASED' })
    const traced = await model.infer({ x: new Float32Array(2) }, { trace: true })
    expect((traced as { timing?: { batchSize: number } }).timing?.batchSize).toBe(1)
    expect(Object.keys(traced)).toEqual(['y'])
    expect(model.inferSync({ x: new Float32Array([1, 1]) }).y?.data).toEqual(new Float32Array([2, 2]))
    await model.close()
    await expect(model.infer({ x: new Float32Array(2) })).rejects.toMatchObject({ code: 'MODEL_CLOSED' })
    expect(() => model.tryClaim()).toThrow(/closed/)
  })

  it('streams as many parts as it is told, or those of a generator, and counts how each stream ended', async () => {
    const model = fakeModel({ inputs: [], outputs: [y] }, { parts: 3, outputs: { y: [1, 2] } })
    let seen = 0
    for await (const part of model.stream({})) seen += part.y?.toFloat32()[1] ?? 0
    expect(seen).toBe(6)
    for await (const _ of model.stream({})) break
    const signal = AbortSignal.abort('no')
    await expect(model.stream({}, { signal }).next()).rejects.toBe('no')
    expect(model.stats().requests).toMatchObject({ submitted: 2, succeeded: 1, cancelled: 1, inFlight: 0 })
    const counting = fakeModel(
      { inputs: [], outputs: [y] },
      {
        decoupled: true,
        async *parts() {
          for (let i = 0; i < 2; i++) yield { y: [i, i] }
        },
      },
    )
    await expect(counting.infer({})).rejects.toMatchObject({ code: 'NOT_SUPPORTED' })
    const first = []
    for await (const part of counting.stream({})) first.push(part.y?.toFloat32()[0])
    expect(first).toEqual([0, 1])
  })
})
