// What a service worker has in place of a window.
declare const clients: Clients;
declare const registration: ServiceWorkerRegistration;
declare function skipWaiting(): Promise<void>;
declare function addEventListener<K extends keyof ServiceWorkerGlobalScopeEventMap>(
  type: K, listener: (event: ServiceWorkerGlobalScopeEventMap[K]) => void): void;
interface ExtendableEvent {
  /** Static routing (Service Workers, `InstallEvent.addRoutes`), where there is such a thing. */
  addRoutes?: (rules: object[]) => Promise<void>;
}
