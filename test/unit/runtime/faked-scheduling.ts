import { afterEach, vi } from 'vitest'
import { addon, type NativePort } from '../../../src/runtime/binding.js'
import { NATIVE_CODES } from '../../../src/runtime/error-table.js'

afterEach(() => {
  vi.restoreAllMocks()
})

const UNREACHABLE = -(NATIVE_CODES.indexOf('SLO_UNREACHABLE') + 1)
const QUEUE_FULL = -(NATIVE_CODES.indexOf('QUEUE_FULL') + 1)

/** What native code does for deadline-aware scheduling, as a test wants it. */
export interface Faked {
  /** Whether a submission to the model of this name is refused, and how. */
  refuse: (model: string) => 'unreachable' | 'full' | undefined
  predictedMs: number
  figures: number[]
  table: string
  /** What each core was made with, in order. */
  readonly cores: Record<string, unknown>[]
  /** Submissions by model, refused ones included. */
  readonly submitted: string[]
  /** Their budgets in milliseconds; -1: none. */
  readonly budgets: number[]
}

/** From here to the end of the test, models get ports whose scheduling is this; the rest of them is real. */
export function fakedScheduling(): Faked {
  const faked: Faked = {
    refuse: () => undefined,
    predictedMs: 12.3,
    figures: [1, 10, 2, 1, 3, 100, 200, 5000, 2],
    table: '',
    cores: [],
    submitted: [],
    budgets: [],
  }
  const native = addon()
  const real = native.createPort.bind(native)
  vi.spyOn(native, 'createPort').mockImplementation((handle, options, onWake) => {
    const core = options as Record<string, unknown>
    faked.cores.push(core)
    const port = real(handle, options, onWake)
    return 'status' in port ? port : faking(port, (JSON.parse(core.info as string) as { name: string }).name, faked)
  })
  const attached = native.attachPort.bind(native)
  vi.spyOn(native, 'attachPort').mockImplementation((id, onWake) => {
    const port = attached(id, onWake)
    return 'status' in port ? port : faking(port, (JSON.parse(port.info) as { name: string }).name, faked)
  })
  return faked
}

function faking(port: NativePort, model: string, faked: Faked): NativePort {
  const gate = <A extends unknown[]>(submit: (...args: A) => number) => {
    return (...args: A): number => {
      faked.submitted.push(model)
      faked.budgets.push(Number(args[4] ?? -1))
      const refused = faked.refuse(model)
      if (refused === undefined) return submit(...args)
      return refused === 'full' ? QUEUE_FULL : UNREACHABLE
    }
  }
  return {
    ...port,
    submit: gate(port.submit),
    submitHome: gate(port.submitHome),
    predictedNs: () => faked.predictedMs * 1e6,
    sloFigures: () => Float64Array.from(faked.figures),
    latencyTable: () => faked.table,
  }
}
