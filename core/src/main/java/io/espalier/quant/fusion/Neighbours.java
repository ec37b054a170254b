package io.espalier.quant.fusion;

import io.espalier.nn.Identity;
import io.espalier.nn.Module;
import io.espalier.nn.Sequential;
import io.espalier.tensor.EspalierException;

import java.util.List;

/**
 * Whether the modules of a chain follow each other, where that can be known without running the
 * model: in a {@link Sequential}.
 */
final class Neighbours {
    private Neighbours() {}

    /**
     * Refuses a chain of places in one Sequential that are not called one after the other.
     *
     * @throws EspalierException if the order is another, or something computes in between
     */
    static void require(Module model, List<String> chain) {
        for (int i = 1; i < chain.size(); i++) {
            String before = chain.get(i - 1);
            String after = chain.get(i);
            String parent = parent(before);
            if (!parent.equals(parent(after))
                    || !((parent.isEmpty() ? model : model.module(parent))
                            instanceof Sequential row)
                    || !row.isPure()) {
                continue;
            }
            List<String> names = List.copyOf(row.namedChildren().keySet());
            int from = names.indexOf(name(before));
            int to = names.indexOf(name(after));
            if (from >= to) {
                throw new EspalierException(
                        "Can't fuse "
                                + chain
                                + ": '"
                                + after
                                + "' is called before '"
                                + before
                                + "'.");
            }
            for (String between : names.subList(from + 1, to)) {
                if (!(row.module(between) instanceof Identity)) {
                    throw new EspalierException(
                            "Can't fuse "
                                    + chain
                                    + ": between '"
                                    + before
                                    + "' and '"
                                    + after
                                    + "' there is "
                                    + row.module(between).getClass().getSimpleName()
                                    + " '"
                                    + between
                                    + "'.");
                }
            }
        }
    }

    private static String parent(String path) {
        return path.substring(0, Math.max(0, path.lastIndexOf('.')));
    }

    private static String name(String path) {
        return path.substring(path.lastIndexOf('.') + 1);
    }
}
