// What the page uses of highlight.js, which is published by the names of the import map.

declare module "highlight" {
  const highlighter: {
    getLanguage(name: string): object | undefined;
    registerLanguage(name: string, grammar: unknown): void;
    highlight(source: string, options: { language: string; ignoreIllegals: boolean }): { value: string };
  };
  export default highlighter;
}
