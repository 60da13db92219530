/** Exit codes of every command: 0 it worked, 1 it failed, 2 it was not called as it should be. */
export const OK = 0
export const FAILED = 1
export const USAGE = 2
