export interface Work {
  name: string
  endless?: boolean
}
export interface Way {
  name: string
  endless?: boolean
}
export const works: Work[]
export const ways: Way[]
/** Whether the work can end in this way. */
export function fits(work: Work, way: Way): boolean
/** Runs one process with `work` in flight that ends in this `way`; resolves to what was wrong, or undefined. */
export function runOnce(work: Work, way: Way, delayMs: number): Promise<string | undefined>
