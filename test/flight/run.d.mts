/** One request that was made slow on purpose. */
export interface Case {
  readonly name: string
  readonly expected: string
  /** The cause that was named first; 'not kept' where the request was not among the slow ones. */
  readonly first: string
  readonly text?: string
  /** Milliseconds of the request, and of its causes together. */
  readonly total?: number
  readonly sum?: number
}
export interface Injection {
  readonly count: number
  readonly seed: number
  readonly only?: string
  readonly onCase?: (each: Case) => void
}
export function inject(injection: Injection): Promise<{ cases: Case[]; skipped: unknown[]; isolated: boolean }>
export function confusion(cases: readonly Case[]): string
