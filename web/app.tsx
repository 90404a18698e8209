/** The page. */
export function App() {
  return (
    <main>
      <h1>Darkroom</h1>
      <p>Try a prompt, watch it develop, keep the image.</p>
    </main>
  );
}
