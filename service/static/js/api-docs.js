// Starts the interactive documentation of the API; swagger-ui-bundle.js stands before it on the page.

const place = document.getElementById("api-docs");

globalThis.SwaggerUIBundle({
  url: place.dataset.openapi,
  domNode: place,
  deepLinking: true,
  tryItOutEnabled: false,
  requestInterceptor(request) {
    request.headers["X-CSRF-Token"] = place.dataset.csrf;
    return request;
  },
});
