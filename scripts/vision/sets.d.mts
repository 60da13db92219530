/** Seeds and sizes of the sets of pictures. */
export const SETS: Readonly<
  Record<'heldout' | 'calibration' | 'train', { seed: string; count: number; hardness: number }>
>

/** The class of picture `index` of any set. */
export function labelOf(index: number): number

/** Writes the first `count` pictures of a set as `folder/<label>/<number>.jpg`; false when they were there already. */
export function writePictures(name: keyof typeof SETS, folder: string, count?: number): Promise<boolean>

/** JPEG bytes of a picture of a set. */
export function pictureOf(name: keyof typeof SETS, index: number): Promise<Buffer>
