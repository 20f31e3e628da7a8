export function lookUp(): string {
  return (undefined as any).absent
}

export const found: string = lookUp()
