package io.espalier.graph;

import io.espalier.nn.Module;

/** Where in the user's code a call was made. */
final class CallSite {
    private static final String NN = Module.class.getPackageName() + ".";

    private CallSite() {}

    /** The innermost line of the running thread that is not the library's: {@code Net.java:12}. */
    static String ofUser() {
        return StackWalker.getInstance()
                .walk(frames ->
                        frames.filter(frame -> !isLibrary(frame.getClassName()))
                                .findFirst()
                                .map(frame ->
                                        simple(frame.getClassName())
                                                + "."
                                                + frame.getMethodName()
                                                + " ("
                                                + frame.getFileName()
                                                + ":"
                                                + frame.getLineNumber()
                                                + ")")
                                .orElse("its code"));
    }

    private static boolean isLibrary(String name) {
        return name.startsWith(NN)
                || name.startsWith("java.")
                || name.equals(CallSite.class.getName())
                || name.equals(Tracer.class.getName());
    }

    private static String simple(String name) {
        return name.substring(name.lastIndexOf('.') + 1).replace('$', '.');
    }
}
