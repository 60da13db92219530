export type Limit = (command: string[]) => string[]

export interface Cgroup {
  readonly limit: Limit
  remove(): void
}

export function onOneProcessor(): Limit | undefined
export function cgroup(cpus: number): Cgroup | undefined
