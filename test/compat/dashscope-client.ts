import { setTimeout as pause } from "node:timers/promises";

/** A DashScope client that was written only from the vendor's documentation: nothing in it is specific to Darkroom. */

interface Image {
  readonly image: string;
}
interface Message {
  readonly role: "user" | "assistant";
  readonly content: readonly (Image | { readonly text: string })[];
}
export interface ImageRequest {
  readonly model: string;
  readonly input: { readonly messages: readonly Message[] } | { readonly prompt: string; readonly images?: string[] };
  readonly parameters?: Readonly<Record<string, unknown>>;
}
export interface Task {
  readonly task_id: string;
  readonly task_status: "PENDING" | "RUNNING" | "SUCCEEDED" | "FAILED" | "CANCELED" | "UNKNOWN";
  readonly submit_time?: string;
  readonly results?: readonly { readonly url?: string; readonly code?: string }[];
  readonly choices?: readonly { readonly message: { readonly content: readonly Image[] } }[];
  readonly task_metrics?: { readonly TOTAL: number; readonly SUCCEEDED: number; readonly FAILED: number };
  readonly code?: string;
  readonly message?: string;
}

/** The error of every failed call. */
export class DashScopeError extends Error {
  readonly status: number;
  readonly code: string;
  readonly requestId: string;

  constructor(status: number, body: { code: string; message: string; request_id: string }) {
    super(body.message);
    this.status = status;
    this.code = body.code;
    this.requestId = body.request_id;
  }
}

const TERMINAL = ["SUCCEEDED", "FAILED", "CANCELED", "UNKNOWN"];

/** `baseUrl` ends with `/api/v1`. */
export function dashScopeClient(baseUrl: string, apiKey: string) {
  async function call<Answer>(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
    const response = await fetch(`${baseUrl}${path}`, {
      method,
      headers: { authorization: `Bearer ${apiKey}`, "content-type": "application/json", ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    // Like the SDK, it reads only application/json.
    if (!(response.headers.get("content-type") ?? "").includes("application/json")) {
      throw new Error(`no JSON: ${response.status} ${await response.text()}`);
    }
    const answer: unknown = await response.json();
    if (!response.ok)
      throw new DashScopeError(response.status, answer as ConstructorParameters<typeof DashScopeError>[1]);
    return answer as Answer;
  }

  const client = {
    /** Waits for the images, and resolves with their addresses. */
    async generate(request: ImageRequest): Promise<string[]> {
      const path = "/services/aigc/multimodal-generation/generation";
      type Answer = { readonly output: Required<Pick<Task, "choices">> };
      const { output } = await call<Answer>("POST", path, request);
      return output.choices.flatMap(({ message }) => message.content.map(({ image }) => image));
    },
    async submit(path: string, request: ImageRequest): Promise<Task> {
      const headers = { "x-dashscope-async": "enable" };
      return (await call<{ output: Task }>("POST", path, request, headers)).output;
    },
    /** The asyncio classes of the SDK have a slash at the end. */
    async task(id: string, slash = ""): Promise<Task> {
      return (await call<{ output: Task }>("GET", `/tasks/${id}${slash}`)).output;
    },
    async wait(id: string): Promise<Task> {
      for (let waitMs = 100; ; waitMs = Math.min(waitMs * 1.5, 1_000)) {
        const task = await client.task(id);
        if (TERMINAL.includes(task.task_status)) return task;
        await pause(waitMs);
      }
    },
    cancel: (id: string, slash = "") => call<{ request_id: string }>("POST", `/tasks/${id}/cancel${slash}`),
    list: (query: Record<string, string>) =>
      call<{ total: number; page_no: number; page_size: number; data: { task_id: string; status: string }[] }>(
        "GET",
        `/tasks?${new URLSearchParams(query)}`,
      ),
    /** Uploads a file, which is kept for a limited time, and resolves with its `oss://` address. */
    async upload(model: string, name: string, bytes: Uint8Array<ArrayBuffer>): Promise<string> {
      const query = new URLSearchParams({ action: "getPolicy", model });
      const { data } = await call<{ data: Record<string, string> }>("GET", `/uploads?${query}`);
      const key = `${data.upload_dir}/${name}`;
      const form = new FormData();
      for (const [field, value] of Object.entries({
        OSSAccessKeyId: data.oss_access_key_id,
        Signature: data.signature,
        policy: data.policy,
        "x-oss-object-acl": data.x_oss_object_acl,
        "x-oss-forbid-overwrite": data.x_oss_forbid_overwrite,
        key,
        success_action_status: "200",
      })) {
        form.set(field, value ?? "");
      }
      form.set("file", new File([bytes], name));
      const answer = await fetch(data.upload_host ?? "", { method: "POST", body: form });
      if (answer.status !== 200) throw new Error(`upload: ${answer.status} ${await answer.text()}`);
      return `oss://${key}`;
    },
  };
  return client;
}
