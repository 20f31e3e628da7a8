/** Calling what pages gave us to be called. */

/** Tells all listeners. What one throws is the page's to hear of, and disturbs neither the others nor the connection. */
export function tellAll<Told extends unknown[]>(listeners: Iterable<(...told: Told) => void>, ...told: Told): void {
  for (const listener of [...listeners]) {
    try {
      listener(...told)
    } catch (fault) {
      setTimeout(() => {
        throw fault
      })
    }
  }
}
