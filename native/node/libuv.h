// The part of libuv's interface that is used here, declared as its documentation has it. Handles are opaque: their size
// is asked for, and their one public field is read and written by functions, so that no layout is relied upon.
#pragma once

#include <cstddef>
#include <cstdint>

struct uv_loop_s;

extern "C" {
size_t uv_handle_size(int type);
int uv_async_init(uv_loop_s* loop, void* async, void (*callback)(void* async));
int uv_async_send(void* async);
int uv_check_init(uv_loop_s* loop, void* check);
int uv_check_start(void* check, void (*callback)(void* check));
int uv_check_stop(void* check);
int uv_idle_init(uv_loop_s* loop, void* idle);
int uv_idle_start(void* idle, void (*callback)(void* idle));
int uv_idle_stop(void* idle);
int uv_poll_init(uv_loop_s* loop, void* poll, int fd);
int uv_poll_start(void* poll, int events, void (*callback)(void* poll, int status, int events));
int uv_poll_stop(void* poll);
int uv_prepare_init(uv_loop_s* loop, void* prepare);
int uv_prepare_start(void* prepare, void (*callback)(void* prepare));
// Thread safe; Node configures its loops to measure it.
uint64_t uv_metrics_idle_time(uv_loop_s* loop);
void uv_close(void* handle, void (*closed)(void* handle));
void uv_ref(void* handle);
void uv_unref(void* handle);
void* uv_handle_get_data(const void* handle);
void uv_handle_set_data(void* handle, void* data);
}

namespace subten {

// Of uv_handle_type.
inline constexpr int kUvAsync = 1;
inline constexpr int kUvCheck = 2;
inline constexpr int kUvIdle = 6;
inline constexpr int kUvPoll = 8;
inline constexpr int kUvPrepare = 9;
// Of uv_poll_event.
inline constexpr int kUvReadable = 1;

}  // namespace subten
