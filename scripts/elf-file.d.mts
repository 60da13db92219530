/** The names in DT_NEEDED, in their order, and the SONAME if there is one. */
export function needsOf(image: Buffer): { needed: string[]; soname: string | undefined }

/** The names of the defined dynamic symbols that are visible to others. */
export function exportsOf(image: Buffer): string[]
