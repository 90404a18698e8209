import { createDarkroomClient, variantUrl } from "@darkroom/client";
import { type FormEvent, type ReactNode, useState } from "react";
import { createRoot } from "react-dom/client";
import { progressOf, STEPS, useJob } from "./use-job.ts";

/** Calls the page's own origin, which passes `/api` on to Darkroom (`vite.config.ts`). */
const darkroom = createDarkroomClient();

function App(): ReactNode {
  // The address keeps the job's id, so that a reloaded page shows the same job.
  const [id, setId] = useState(() => location.hash.slice(1));
  const [refusal, setRefusal] = useState<string | null>(null);

  async function submit(event: FormEvent<HTMLFormElement>): Promise<void> {
    event.preventDefault();
    setRefusal(null);
    const prompt = String(new FormData(event.currentTarget).get("prompt"));
    try {
      const job = await darkroom.submit("image-from-text", { prompt });
      location.hash = job.id;
      setId(job.id);
    } catch (error) {
      setRefusal(error instanceof Error ? error.message : String(error));
    }
  }

  return (
    <>
      <form onSubmit={submit}>
        <label>
          Prompt <input name="prompt" required />
        </label>
        <button type="submit">Generate</button>
      </form>
      {refusal !== null && <p role="alert">{refusal}</p>}
      {id !== "" && <Picture key={id} id={id} />}
    </>
  );
}

function Picture({ id }: { readonly id: string }): ReactNode {
  const { job, connection, error, retry, cancel } = useJob(darkroom, id);
  const [refusal, setRefusal] = useState<string | null>(null);
  const act = (action: () => Promise<void>) => {
    setRefusal(null);
    action().catch((reason: Error) => setRefusal(reason.message));
  };
  if (error !== null) return <p role="alert">{error.message}</p>;
  if (job === null) return <p>{connection}</p>;
  const { step, text } = progressOf(job);
  return (
    <section>
      <progress aria-label="Progress" value={step} max={STEPS.length - 1} />
      <p role="status">{text}</p>
      {refusal !== null && <p role="alert">{refusal}</p>}
      {job.output?.images.map(({ index, url }) => (
        <img key={index} src={variantUrl(url, { w: 640 })} alt={job.request.prompt} />
      ))}
      {!job.done && (
        <button type="button" onClick={() => act(cancel)}>
          Cancel
        </button>
      )}
      {job.done && job.status !== "succeeded" && (
        <button type="button" onClick={() => act(retry)}>
          Try again
        </button>
      )}
    </section>
  );
}

const root = document.getElementById("root");
if (root !== null) createRoot(root).render(<App />);
