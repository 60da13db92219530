/** JPEG bytes of picture `index` of the set `seed`, showing class `label`. */
export function photograph(seed: string, index: number, label: number): Promise<Buffer>
