import type { MachineFacts } from '../profile/report-types.js'
import type { LoadOptions, Model } from '../runtime/types.js'
import type { ChildAnswer, ChildRequest } from './measure-child.js'

/** What is to be searched, and how long. */
export interface OptimizeOptions {
  readonly model: string
  /** Paths, or names of folders beside the model; by default those that say that they were made from it. */
  readonly variants?: readonly string[]
  readonly limitUs: number
  /** Held-out data, as `openDataset` takes it. */
  readonly data?: string
  readonly engines?: readonly string[]
  /** Points of top-1 that may be lost. */
  readonly accuracyDrop: number
  readonly batches?: readonly number[]
  readonly delays?: readonly (number | 'off' | 'slo')[]
  readonly instances?: readonly number[]
  readonly threads?: readonly number[]
  readonly budgetSeconds: number
  /** Of a measurement of a finalist; by default what the budget allows. */
  readonly seconds?: number
  readonly repeats: number
  readonly seed: number
  readonly rate?: number
  readonly shapes: Readonly<Record<string, readonly number[]>>
  /** Folder of the journal. */
  readonly state: string
  readonly fresh: boolean
  /** There must be a journal to go on with. */
  readonly resume: boolean
}

/** What the search acts on; tests give their own. */
export interface OptimizeWorld {
  readonly machine: MachineFacts
  /** Engines that are there. */
  readonly engines: ReadonlySet<string>
  load(path: string, options: LoadOptions): Promise<Model>
  /** Has a request answered in a process of its own that takes about so many seconds. */
  ask<R extends ChildRequest>(request: R, seconds: number): Promise<ChildAnswer<R>>
  openData(
    path: string,
    model: Model,
  ): Promise<{ readonly count: number; readonly labels?: unknown; readonly sha256: string }>
  /** A sentence for the user. */
  say(text: string): void
  progress?(state: SearchProgress): void
  readonly signal?: AbortSignal
}

export interface SearchProgress {
  readonly what: string
  readonly doneSeconds: number
  readonly allSeconds: number
}
