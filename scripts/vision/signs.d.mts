/** Names of the classes, in the order of the model's output. */
export const LABELS: readonly string[]
