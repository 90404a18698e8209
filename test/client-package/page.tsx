import {
  type ConnectionState,
  createDarkroomClient,
  DarkroomForbiddenOrigin,
  type Job,
  variantUrl,
} from "@darkroom/client";
import { type ReactNode, useEffect, useState } from "react";

/** A page of an app that shows one job. */
const darkroom = createDarkroomClient({ baseUrl: "https://darkroom.example.com", WebSocket });

export function Watched({ id }: { readonly id: string }): ReactNode {
  const [job, setJob] = useState<Job | null>(null);
  const [state, setState] = useState<ConnectionState>("connecting");
  const [trouble, setTrouble] = useState<string | null>(null);
  useEffect(() => {
    const gone = new AbortController();
    const watch = async () => {
      for await (const frame of darkroom.watch(id, { signal: gone.signal, onState: setState })) setJob(frame.job);
    };
    watch().catch((error: unknown) => {
      if (gone.signal.aborted) return;
      setTrouble(error instanceof DarkroomForbiddenOrigin ? error.origin : String(error));
    });
    return () => gone.abort();
  }, [id]);
  if (trouble !== null) return <p role="alert">{trouble}</p>;
  return (
    <figure>
      {job?.output?.images.map(({ index, url }) => (
        <img key={index} src={variantUrl(url, { w: 640 })} alt="" />
      ))}
      <figcaption>{job?.queue?.position ?? job?.status ?? state}</figcaption>
    </figure>
  );
}

export function upload(files: FileList): Promise<Job> {
  return darkroom.submitFiles({ prompt: "in winter", metadata: { source: "page" } }, files);
}
