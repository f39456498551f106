/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header. Makes nothing and looks at no container. Subtle: the features go on as the bytes that
 * the runtime printed, once they have been read as what they should be: containerd knows fields of
 * them that we do not.
 */
#include "shim/verb_info.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/runtime.h"
#include "common/runtime_look.h"
#include "introspection.pb-c.h"
#include "shim/bootstrap.h"
#include "shim/runtime_wish.h"

#define PROGRAM_PREFIX "containerd-shim-"
#define NAME_PREFIX    "io.containerd."
#define NAME_DEFAULT   NAME_PREFIX "cleat.v2"
/* core/runtime/typeurl.go of containerd 2.x: the JSON type of runtime-spec's features.Features */
#define FEATURES_TYPE "types.containerd.io/opencontainers/runtime-spec/1/features/Features"
/* features are no namespace's and no container's, but every call of a runtime has a root */
#define ANY_ROOT      "/run/cleat"
#define ANY_NAMESPACE "default"
#define ANY_ID	      "info"

/* containerd calls io.containerd.NAME.VERSION by containerd-shim-NAME-VERSION. NULL without memory. */
static char *name_of(const char *program)
{
	const char *slash = strrchr(program, '/');
	const char *rest = slash ? slash + 1 : program;
	const char *dash;
	char *name;

	if (strncmp(rest, PROGRAM_PREFIX, strlen(PROGRAM_PREFIX)) != 0)
		return strdup(NAME_DEFAULT);
	rest += strlen(PROGRAM_PREFIX);
	dash = strrchr(rest, '-');
	if (!dash || dash == rest || !dash[1])
		return strdup(NAME_DEFAULT);
	return asprintf(&name, NAME_PREFIX "%.*s.%s", (int)(dash - rest), rest, dash + 1) < 0
		       ? NULL
		       : name;
}

static int find_runtime(
	const Google__Protobuf__Any *options, struct runtime *ret, struct error *err)
{
	_cleanup_runtime_wish_ struct runtime_wish wish = RUNTIME_WISH_INIT;
	int r = runtime_wish_parse(options, ANY_ROOT, ANY_NAMESPACE, &wish, err);

	return r == 0 ? runtime_wish_resolve(&wish, ANY_ID, ret, err) : r;
}

/* 0, or why there are none. */
static int ask_features(const struct runtime *rt, struct buf *ret, struct error *err)
{
	const struct runtime_request request = { .verb = RUNTIME_FEATURES };
	struct runtime_features features = RUNTIME_FEATURES_INIT;
	struct runtime_outcome outcome = RUNTIME_OUTCOME_INIT;
	int r = runtime_run(rt, &request, &outcome, err);

	if (r == 0)
		r = runtime_judge(rt, RUNTIME_FEATURES, &outcome, NULL, err);
	if (r == 0)
		r = runtime_read_features(rt, &outcome.out, &features, err);
	if (r == 0) {
		*ret = outcome.out;
		outcome.out = BUF_INIT;
	}
	runtime_features_deinit(&features);
	runtime_outcome_deinit(&outcome);
	return r;
}

static int append(const ProtobufCMessage *message, struct buf *ret, struct error *err)
{
	uint8_t *to = buf_reserve(ret, protobuf_c_message_get_packed_size(message));

	if (!to)
		return error_errno(err, -ENOMEM, "info");
	buf_commit(ret, protobuf_c_message_pack(message, to));
	return 0;
}

static int encode(const char *program, const Google__Protobuf__Any *options,
	const struct buf *features, struct buf *ret, struct error *err)
{
	Containerd__Types__RuntimeInfo info = CONTAINERD__TYPES__RUNTIME_INFO__INIT;
	Containerd__Types__RuntimeVersion version = CONTAINERD__TYPES__RUNTIME_VERSION__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
	_cleanup_free_ char *name = name_of(program);

	if (!name)
		return error_errno(err, -ENOMEM, "info");
	version.version = (char *)CLEAT_VERSION;
	info.name = name;
	info.version = &version;
	info.options = (Google__Protobuf__Any *)options;
	if (features) {
		any.type_url = (char *)FEATURES_TYPE;
		any.value.data = buf_head(features);
		any.value.len = features->len;
		info.features = &any;
	}
	return append(&info.base, ret, err);
}

int info_encode(const char *program, const Google__Protobuf__Any *options, struct buf *ret,
	struct error *err)
{
	_cleanup_(runtime_deinit) struct runtime rt = RUNTIME_INIT;
	_cleanup_buf_ struct buf features = BUF_INIT;
	_cleanup_error_ struct error why = ERROR_INIT;
	int r = find_runtime(options, &rt, err);

	if (r != 0)
		return r;
	r = ask_features(&rt, &features, &why);
	if (r != 0)
		log_debug("the runtime has no features", F_STR("cause", error_message(&why)));
	return encode(program, options, r == 0 ? &features : NULL, ret, err);
}

int verb_info(const struct verb_options *options)
{
	_cleanup_bootstrap_ struct bootstrap said = BOOTSTRAP_INIT;
	_cleanup_error_ struct error err = ERROR_INIT;
	_cleanup_buf_ struct buf info = BUF_INIT;
	int r;

	log_init(options->debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, STDERR_FILENO);
	r = bootstrap_read(STDIN_FILENO, NULL, NULL, &said, &err);
	if (r == 0)
		r = info_encode(program_invocation_short_name, said.options, &info, &err);
	if (r == 0) {
		r = fd_write_all(STDOUT_FILENO, buf_head(&info), info.len);
		r = r < 0 ? error_errno(&err, r, "stdout") : 0;
	}
	if (r != 0)
		fprintf(stderr, "%s: %s\n", program_invocation_short_name, error_message(&err));
	return r == 0 ? 0 : 1;
}

int verb_version(const struct verb_options *options)
{
	(void)options;
	printf("%s:\n  Version:  %s\n\n", program_invocation_short_name, CLEAT_VERSION);
	return fflush(stdout) == 0 ? 0 : 1;
}
