package io.espalier.prune;

import java.util.List;
import java.util.stream.Collectors;

/** Rows of text as columns that line up. */
final class Table {
    private Table() {}

    /**
     * One line a row, columns two spaces apart.
     *
     * @param sides for each column {@code 'l'} or {@code 'r'}, the side at which its cells line up
     */
    static String print(List<List<String>> rows, String sides) {
        int[] widths = new int[sides.length()];
        for (List<String> row : rows) {
            for (int column = 0; column < widths.length; column++) {
                widths[column] = Math.max(widths[column], row.get(column).length());
            }
        }
        return rows.stream().map(row -> line(row, widths, sides)).collect(Collectors.joining("\n"));
    }

    private static String line(List<String> row, int[] widths, String sides) {
        var line = new StringBuilder();
        for (int column = 0; column < widths.length; column++) {
            String cell = row.get(column);
            String space = " ".repeat(widths[column] - cell.length());
            line.append(column == 0 ? "" : "  ");
            line.append(sides.charAt(column) == 'l' ? cell + space : space + cell);
        }
        return line.toString().stripTrailing();
    }
}
