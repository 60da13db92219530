/** JPEG bytes of picture `index` of the set `seed`, showing class `label`; `hardness` from 0 to 1. */
export function photograph(seed: string, index: number, label: number, hardness: number): Promise<Buffer>
