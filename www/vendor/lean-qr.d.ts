/** What the page uses of lean-qr; the whole is documented at the address in lean-qr.js. */
export const correction: Readonly<{ L: number; M: number; Q: number; H: number }>;

export function generate(
  text: string,
  options?: { minCorrectionLevel?: number; maxCorrectionLevel?: number },
): { readonly size: number; get(x: number, y: number): boolean };
