import { resolve } from 'node:path'
import { SubtenError } from '../runtime/errors.js'
import type { Model } from '../runtime/types.js'
import { readContract } from './contract.js'
import { SlaMonitor } from './monitor.js'
import { everySecond } from './ticker.js'
import type { Contract } from './types.js'

interface Shared {
  readonly key: string | Contract
  readonly stateFile: string | undefined
  readonly monitor: Promise<SlaMonitor>
  /** Loads under way that will attach a model. */
  waiting: number
  /** Stops looking for models that were dropped without close(). */
  stop: () => void
}

const shared: Shared[] = []
/** Monitors that are being closed still have their state file. */
const closing = new Set<Promise<void>>()

/**
 * Measures a model of this environment against a contract: its file, or what was read from one. Models that name the same
 * contract share one monitor, and so one state file; it ends with the last of them.
 *
 * @throws SubtenError CONFIG_INVALID for a contract or a state file that cannot be used
 */
export async function measure(model: Model, contract: string | Contract, stateFile: string | undefined): Promise<void> {
  const key = typeof contract === 'string' ? resolve(contract) : contract
  const path = stateFile === undefined ? undefined : resolve(stateFile)
  const entry = shared.find((each) => each.key === key) ?? share(key, contract, path)
  if (entry.stateFile !== path) {
    const other = entry.stateFile ?? 'no state file'
    throw new SubtenError('CONFIG_INVALID', `options: slaState: models of the same contract are loaded with ${other}`, {
      remedy: 'Load all models of a contract with the same slaState.',
      details: { field: 'slaState' },
    })
  }
  entry.waiting++
  try {
    const monitor = await entry.monitor
    monitor.attach(model, () => endUnused(entry))
  } finally {
    entry.waiting--
  }
}

function share(key: Shared['key'], contract: string | Contract, stateFile: string | undefined): Shared {
  const entry: Shared = { key, stateFile, monitor: open(contract, stateFile), waiting: 0, stop: () => {} }
  shared.push(entry)
  entry.monitor.then(
    () => {
      entry.stop = everySecond(() => void endUnused(entry))
    },
    () => forget(entry),
  )
  return entry
}

async function open(contract: string | Contract, stateFile: string | undefined): Promise<SlaMonitor> {
  const read = typeof contract === 'string' ? await readContract(contract) : contract
  await Promise.allSettled(closing)
  return SlaMonitor.open(read, { stateFile })
}

/** Ends the monitor when no model of it is open any more. */
async function endUnused(entry: Shared): Promise<void> {
  const monitor = await entry.monitor
  if (entry.waiting > 0 || monitor.attached || !shared.includes(entry)) return
  forget(entry)
  const closed = monitor.close()
  closing.add(closed)
  await closed.finally(() => closing.delete(closed))
}

function forget(entry: Shared): void {
  entry.stop()
  shared.splice(shared.indexOf(entry), 1)
}
