/** What turns pictures into tensors, loaded by the first of them. */
export function picturePreparation(): Promise<typeof import('./prepare.js')> {
  return import('./prepare.js')
}

/** One thread a picture: a server's other threads are for other requests, and for the engines. */
export async function oneThreadAPicture(): Promise<void> {
  try {
    const { default: sharp } = await import('sharp')
    sharp.concurrency(1)
  } catch {
    // who sends a picture reads what is missing
  }
}
